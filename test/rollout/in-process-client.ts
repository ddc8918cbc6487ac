import type { DurableExecutionClient } from '@aws/durable-execution-sdk-js'
import type { DurableEngine } from '../../local/lambda/durable/engine.ts'

/** As Lambda's runtime hands on what a handler gives, or throws. */
export async function answerOf(handler: Promise<unknown>) {
  try {
    return { payload: Buffer.from(JSON.stringify(await handler)) }
  } catch (error) {
    const { name, message } = error as Error
    const failure = { errorType: name, errorMessage: message }
    return { payload: Buffer.from(JSON.stringify(failure)), error: 'Unhandled' as const }
  }
}

/** Called around each checkpoint; what does not resolve is what a killed process never lives to see. */
export interface CheckpointHooks {
  beforeStored(): Promise<void>
  afterStored(): Promise<void>
}

/** The SDK's own transport, straight into an engine of the same process. */
export function inProcessClient(engine: DurableEngine, hooks: CheckpointHooks): DurableExecutionClient {
  return {
    async getExecutionState({ DurableExecutionArn = '' }) {
      return { Operations: engine.find(DurableExecutionArn).operations } as never
    },
    async checkpoint({ DurableExecutionArn = '', CheckpointToken = '', ClientToken, Updates = [] }) {
      await hooks.beforeStored()
      const { token, changed } = engine.checkpoint(DurableExecutionArn, {
        token: CheckpointToken,
        clientToken: ClientToken,
        updates: Updates as never,
      })
      await hooks.afterStored()
      return { CheckpointToken: token, NewExecutionState: { Operations: structuredClone(changed) } } as never
    },
  }
}
