import { join } from 'node:path'
import { withDurableExecution } from '@aws/durable-execution-sdk-js'
import { durableClient } from '../../lambda/durable-client.ts'
import { rollout } from '../../lambda/rollout.ts'
import type { RolloutEngine } from '../../lib/aws/rollout-engine.ts'
import { executionSeconds } from '../../lib/release/operations.ts'
import { DurableEngine } from '../../local/lambda/durable/engine.ts'
import type { Execution } from '../../local/lambda/durable/execution.ts'
import { openExecutionStore } from '../../local/lambda/durable/execution-store.ts'
import { answerOf, type CheckpointHooks, inProcessClient } from './in-process-client.ts'
import type { MachineCloud } from './machine-cloud.ts'
import { FUNCTION } from './machine-settings.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** When the process that runs the rollout is killed: at its nth checkpoint, before or after it is stored. */
export interface Kill {
  checkpoint: number
  when: 'before' | 'after'
}

export type Ended = 'FAILED' | 'TIMED_OUT' | 'STOPPED'

interface EngineOptions {
  directory: string
  clock: VirtualClock
  cloud: MachineCloud
  /** What hears of an execution's end. */
  onEnd(): Promise<unknown>
}

/** Durable executions in a process that can be killed and starts again from what it had stored. */
export function openMortalEngine({ directory, clock, cloud, onEnd }: EngineOptions) {
  let checkpoints = 0
  let invocations = 0
  let kill: Kill | undefined
  let life = new AbortController()
  let crash: Promise<void> | undefined
  /** No news of an execution arrives anywhere. */
  let isDeaf = false
  let engine = start()

  function start(): DurableEngine {
    const ownLife = life
    const dieIf = async (when: Kill['when']) => {
      if (kill?.checkpoint === checkpoints && kill.when === when) return die()
    }
    const hooks: CheckpointHooks = {
      beforeStored() {
        checkpoints++
        return dieIf('before')
      },
      afterStored: () => dieIf('after'),
    }
    const created: DurableEngine = new DurableEngine({
      store: openExecutionStore(join(directory, 'executions')),
      sleepUntil: clock.sleepUntil,
      limits: () => ({ executionTimeoutSeconds: executionSeconds(cloud.currentPolicy()), retentionDays: 14 }),
      onStatusChange: (execution) => {
        if (execution.status !== 'RUNNING' && !isDeaf) void clock.during(onEnd(), ownLife.signal)
      },
      invoke: (execution, payload) => {
        invocations++
        return clock.during(invoke(created, hooks, execution, payload), ownLife.signal)
      },
    })
    return created
  }

  /** Never returns to who called it: that process is gone. */
  function die(): Promise<never> {
    kill = undefined
    crash = restart()
    return new Promise(() => {})
  }

  async function restart(): Promise<void> {
    cloud.killCaller()
    engine.close()
    life.abort()
    life = new AbortController()
    await cloud.admitNextCaller()
    engine = start()
    engine.resume()
  }

  const adapter: RolloutEngine = {
    version: async () => '1',
    status: async ({ execution: name }) => engine.all().find((execution) => execution.name === name)?.status,
    start: async ({ execution: name }, payload) => {
      engine.start({ version: FUNCTION, functionArn: 'arn:rollout:1', input: JSON.stringify(payload), name })
    },
  }

  return {
    adapter,
    get checkpoints() {
      return checkpoints
    },
    get invocations() {
      return invocations
    },
    all: () => engine.all(),
    isRunning: () => engine.all().some(({ status }) => status === 'RUNNING'),
    isCrashing: () => crash !== undefined,
    /** True when there was a crash, which is over now. */
    async survived(): Promise<boolean> {
      if (!crash) return false
      await crash
      crash = undefined
      return true
    },
    killAt(planned: Kill | undefined) {
      kill = planned
      checkpoints = 0
    },
    /** As Lambda would: no cleanup runs. */
    endAll(ended: Ended, { isEventLost = false } = {}) {
      isDeaf = isEventLost
      for (const execution of engine.all()) {
        if (execution.status !== 'RUNNING') continue
        engine.stop(execution.arn, undefined)
        // The engine comes to the other two by itself only after hours, or by a mistake in the function.
        execution.status = ended
      }
      isDeaf = false
    },
    close() {
      engine.close()
      life.abort()
    },
  }
}

async function invoke(
  engine: DurableEngine,
  hooks: CheckpointHooks,
  { functionArn }: Execution,
  payload: Buffer,
) {
  const handler = withDurableExecution(rollout, {
    durableExecutionClient: durableClient(inProcessClient(engine, hooks)),
  })
  const context = {
    awsRequestId: 'request',
    invokedFunctionArn: functionArn,
    functionName: 'rollout',
    functionVersion: '1',
    // No time is left: each wait really suspends, and what comes after it is a replay.
    getRemainingTimeInMillis: () => 0,
  }
  return answerOf(handler(JSON.parse(payload.toString()), context as never))
}
