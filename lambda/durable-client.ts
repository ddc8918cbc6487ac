import {
  DurableExecutionApiClient,
  type DurableExecutionClient,
  DurableExecutionClientError,
} from '@aws/durable-execution-sdk-js'

/**
 * SDK 2.4.0 looks for "Invalid Checkpoint Token" while the service says "Invalid checkpoint token", and so
 * fails the whole execution where it should be invoked again
 * (https://github.com/aws/aws-durable-execution-sdk-js/issues/917; remove with the release after 2.4.0).
 */
export function durableClient(
  inner: DurableExecutionClient = new DurableExecutionApiClient(),
): DurableExecutionClient {
  return {
    getExecutionState: (params, logger) => inner.getExecutionState(params, logger),
    checkpoint: async (params, logger) => {
      try {
        return await inner.checkpoint(params, logger)
      } catch (error) {
        if (!(error instanceof Error) || !/invalid checkpoint token/i.test(error.message)) throw error
        throw new DurableExecutionClientError(error.message, { scope: 'INVOCATION', cause: error })
      }
    },
  }
}
