import {
  type DurableContext,
  type DurableExecutionClient,
  withDurableExecution,
} from '@aws/durable-execution-sdk-js'
import { describe, expect, it } from 'vitest'
import { durableClient } from '../../lambda/durable-client.ts'
import { ServiceError } from '../../local/http/service.ts'
import { DurableEngine } from '../../local/lambda/durable/engine.ts'
import { openExecutionStore } from '../../local/lambda/durable/execution-store.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { answerOf, inProcessClient } from '../rollout/in-process-client.ts'
import { FUNCTION } from '../rollout/machine-settings.ts'

/** The SDK's classification reads what its Lambda client makes of an answer. */
function asOverHttp(inner: DurableExecutionClient): DurableExecutionClient {
  return {
    getExecutionState: inner.getExecutionState,
    checkpoint: (params) =>
      inner.checkpoint(params).catch((error) => {
        if (!(error instanceof ServiceError)) throw error
        const { code, message, status } = error
        throw Object.assign(new Error(message), { name: code, $metadata: { httpStatusCode: status } })
      }),
  }
}

/** Two invocations of one execution at once: the first one's token is stale once the other has written. */
async function withStaleToken(wrap: (client: DurableExecutionClient) => DurableExecutionClient) {
  let checkpoints = 0
  let invocations = 0
  const engine = new DurableEngine({
    store: openExecutionStore(temporaryFolder()),
    limits: () => ({ executionTimeoutSeconds: 600, retentionDays: 1 }),
    onStatusChange: () => {},
    invoke: async (execution, payload) => {
      invocations++
      const client = inProcessClient(engine, {
        async beforeStored() {
          if (++checkpoints !== 1) return
          engine.checkpoint(execution.arn, {
            token: execution.checkpointToken,
            clientToken: 'of the other invocation',
            updates: [],
          })
        },
        async afterStored() {},
      })
      const handler = withDurableExecution(
        (_: unknown, context: DurableContext) => context.step('work', async () => 'worked'),
        { durableExecutionClient: wrap(asOverHttp(client)) },
      )
      const context = { awsRequestId: 'request', getRemainingTimeInMillis: () => 60_000 }
      return answerOf(handler(JSON.parse(payload.toString()), context as never))
    },
  })
  const execution = engine.start({ version: FUNCTION, functionArn: 'arn:f:1', input: '{}', name: 'stale' })
  await engine.ended(execution)
  engine.close()
  return { status: execution.status, invocations }
}

describe('a checkpoint token that is stale', () => {
  it('fails the whole execution with the client of the SDK alone', async () => {
    expect(await withStaleToken((client) => client)).toEqual({ status: 'FAILED', invocations: 1 })
  })

  it('only has it invoked again with the client of the functions', async () => {
    expect(await withStaleToken(durableClient)).toEqual({ status: 'SUCCEEDED', invocations: 2 })
  })
})
