import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js'
import { planWaves } from '../lib/release/fleet.ts'
import { durableClient } from './durable-client.ts'
import { type RolloutInput, rolloutSteps } from './rollout-steps.ts'

/** Prepare everywhere, migrate once, activate in waves; this is the order only. */
export async function rollout(input: RolloutInput, context: DurableContext): Promise<void> {
  const steps = rolloutSteps(input, context)
  const plan = await steps.claim()
  if (!plan) return
  if (plan.refusal) return steps.end('failed', plan.refusal)

  const [leader, ...others] = plan.targets
  const first = await steps.prepare('prepare first', [leader])
  if (first.failure) return steps.end('failed', first.failure)
  const rest = await steps.prepare('prepare', others)
  if (rest.failure) return steps.end('failed', rest.failure)
  const migration = await steps.migrate(leader)
  if (migration.failure) return steps.end('failed', migration.failure)

  const activated: string[] = []
  for (const [index, wave] of planWaves([leader, ...rest.succeeded], plan.waves).entries()) {
    const { succeeded, unsettled, failure } = await steps.activate(`wave ${index + 1}`, wave)
    activated.push(...succeeded)
    if (failure) return steps.rollBack([...activated, ...unsettled], failure)
    await steps.bake(`bake ${index + 1}`)
  }
  await steps.catchUpNewcomers(plan.targets)
  await steps.end('done')
}

export const handler = withDurableExecution(rollout, { durableExecutionClient: durableClient() })
