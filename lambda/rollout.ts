import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js'
import { planWaves } from '../lib/release/fleet.ts'
import { durableClient } from './durable-client.ts'
import { type RolloutInput, rolloutSteps } from './rollout-steps.ts'

/** Prepare everywhere, migrate once, activate in waves; this is the order only. */
export async function rollout(input: RolloutInput, context: DurableContext): Promise<void> {
  const steps = rolloutSteps(input, context)
  const plan = await steps.claim()
  if (!plan) return
  if (plan.refusal) return steps.refuse(plan.refusal)
  if (plan.isRecovery) return steps.recover()

  const { prepared, failure } = await steps.prepareAll()
  if (failure) return steps.end('failed', failure)
  const migration = await steps.migrate(prepared)
  if (migration.failure) return steps.end('failed', migration.failure)
  if (migration.halt) return steps.halt(migration.halt)

  const waves = planWaves(steps.toActivate(prepared), plan.waves)
  for (const [index, wave] of waves.entries()) {
    const halt = await steps.activate(index + 1, wave, index + 1 === waves.length)
    if (halt) return steps.halt(halt)
  }
  const halt = await steps.serve()
  if (halt) return steps.halt(halt)
  await steps.catchUpNewcomers()
  await steps.end('done')
}

export const handler = withDurableExecution(rollout, { durableExecutionClient: durableClient() })
