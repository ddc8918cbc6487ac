import {
  DurableExecutionAlreadyStartedException,
  GetAliasCommand,
  InvokeCommand,
  type LambdaClient,
  paginateListDurableExecutionsByFunction,
} from '@aws-sdk/client-lambda'
import type { ExecutionStatus, Lock } from '../release/state.ts'

/** Lambda lists the executions of one version only: $LATEST, where none is named, of which there are none. */
export type Owner = Pick<Lock, 'execution' | 'version'>

/** The durable function that runs rollouts; an execution is named after the lock's token. */
export interface RolloutEngine {
  /** What rollouts begin on now; it moves on with each deployment of the stack. */
  version(): Promise<string>
  /** Undefined when no execution of that name was ever started. */
  status(owner: Owner): Promise<ExecutionStatus | undefined>
  /** Starting the same name again changes nothing. */
  start(owner: Owner, payload: Record<string, unknown>): Promise<void>
}

export function rolloutEngine(lambda: LambdaClient, functionName: string, alias: string): RolloutEngine {
  return {
    async version() {
      const { FunctionVersion } = await lambda.send(
        new GetAliasCommand({ FunctionName: functionName, Name: alias }),
      )
      if (!FunctionVersion) throw new Error(`the alias ${alias} of ${functionName} names no version`)
      return FunctionVersion
    },

    async status({ execution, version }) {
      const input = {
        FunctionName: functionName,
        Qualifier: version,
        DurableExecutionName: execution,
      }
      for await (const page of paginateListDurableExecutionsByFunction({ client: lambda }, input)) {
        const found = page.DurableExecutions?.find(
          (candidate) => candidate.DurableExecutionName === execution,
        )
        if (found) return found.Status as ExecutionStatus
      }
      return undefined
    },

    async start({ execution, version }, payload) {
      const invocation = new InvokeCommand({
        FunctionName: functionName,
        Qualifier: version,
        InvocationType: 'Event',
        DurableExecutionName: execution,
        Payload: JSON.stringify(payload),
      })
      try {
        await lambda.send(invocation)
      } catch (error) {
        // Instead of an answer, where another look has started it meanwhile.
        if (!(error instanceof DurableExecutionAlreadyStartedException)) throw error
      }
    },
  }
}
