import {
  DurableExecutionAlreadyStartedException,
  InvokeCommand,
  type LambdaClient,
  paginateListDurableExecutionsByFunction,
} from '@aws-sdk/client-lambda'
import type { ExecutionStatus } from '../release/state.ts'

/** The durable function that runs rollouts; an execution is named after the lock's token. */
export interface RolloutEngine {
  /** Undefined when no execution of that name was ever started. */
  status(execution: string): Promise<ExecutionStatus | undefined>
  /** Starting the same name again changes nothing. */
  start(execution: string, payload: Record<string, unknown>): Promise<void>
}

/** `functionName:alias`: a durable function can only be started through a version or an alias. */
export function rolloutEngine(lambda: LambdaClient, functionName: string, alias: string): RolloutEngine {
  return {
    async status(execution) {
      const input = { FunctionName: functionName, DurableExecutionName: execution }
      for await (const page of paginateListDurableExecutionsByFunction({ client: lambda }, input)) {
        const found = page.DurableExecutions?.find(
          (candidate) => candidate.DurableExecutionName === execution,
        )
        if (found) return found.Status as ExecutionStatus
      }
      return undefined
    },

    async start(execution, payload) {
      const invocation = new InvokeCommand({
        FunctionName: functionName,
        Qualifier: alias,
        InvocationType: 'Event',
        DurableExecutionName: execution,
        Payload: JSON.stringify(payload),
      })
      try {
        await lambda.send(invocation)
      } catch (error) {
        // Instead of an answer where the alias has moved on since the execution was started.
        if (!(error instanceof DurableExecutionAlreadyStartedException)) throw error
      }
    },
  }
}
