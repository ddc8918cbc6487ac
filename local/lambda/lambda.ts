import { join } from 'node:path'
import type { CredentialStore } from '../credentials.ts'
import type { BusEvent } from '../events/event-bus.ts'
import type { Service } from '../http/endpoint.ts'
import type { ProcessRecord } from '../process-record.ts'
import { openAsyncInvocations } from './async-invocations.ts'
import { durableOperations } from './durable/durable-operations.ts'
import { DurableEngine } from './durable/engine.ts'
import { type Execution, isRunning } from './durable/execution.ts'
import { openExecutionStore } from './durable/execution-store.ts'
import { checkStart } from './durable/start-execution.ts'
import { statusChangeEvent } from './durable/status-change-event.ts'
import { failureRecord } from './failure-destination.ts'
import type { AliasConfig, AsyncConfig, FunctionConfig } from './function-config.ts'
import { type FoundFunction, openFunctionRegistry } from './function-registry.ts'
import { createFunctionRunner } from './function-runner.ts'
import { invokeOperations } from './invoke-operations.ts'
import { restJsonService } from './rest-json.ts'

export interface LambdaOptions {
  /** Of the state: executions, versions, undelivered invocations, logs. */
  directory: string
  region: string
  account: string
  functions: readonly FunctionConfig[]
  aliases: readonly AliasConfig[]
  credentials: CredentialStore
  processes: ProcessRecord
  /** Where functions find the local cloud; asked when one starts. */
  endpointUrl: () => string
  putEvent: (event: BusEvent) => void
  /** By the function's name. */
  asyncConfigs?: Readonly<Record<string, AsyncConfig>>
  sendToQueue?: (queueArn: string, body: string) => void
}

/** The local Lambda: real processes, durable executions, asynchronous invocations. */
export interface Lambda {
  service: Service
  /** Delivers at least once, also over a restart. */
  invokeLater(functionArn: string, payload: unknown): void
  /** Goes on with what an earlier local cloud had begun; the endpoint must listen by now. */
  resume(): void
  close(): Promise<void>
}

const LONGEST_EXECUTION = { executionTimeoutSeconds: 31_622_400, retentionDays: 14 }

export function openLambda(options: LambdaOptions): Lambda {
  const { directory, region, account, putEvent, asyncConfigs = {}, sendToQueue } = options
  const registry = openFunctionRegistry({
    directory,
    arnPrefix: `arn:aws:lambda:${region}:${account}:function:`,
    functions: options.functions,
    aliases: options.aliases,
  })
  const runner = createFunctionRunner({ ...options, registry, logDirectory: join(directory, 'logs') })
  const versionOf = (execution: Execution) => registry.version(execution.functionName, execution.version)

  const engine = new DurableEngine({
    store: openExecutionStore(join(directory, 'executions')),
    invoke: (execution, payload) => runner.run(versionOf(execution), execution.functionArn, payload),
    limits: (execution) => versionOf(execution).config.durable ?? LONGEST_EXECUTION,
    onStatusChange: (execution) => putEvent(statusChangeEvent(execution)),
  })

  const startExecution = (found: FoundFunction, input: string, name?: string) => {
    const functionArn = registry.arnOf(found.config.name, found.version)
    return engine.start({ version: found, functionArn, input, name })
  }

  const deliver = async (functionArn: string, payload: string) => {
    const found = registry.find(functionArn)
    if (!found.config.durable) return runner.run(found, functionArn, Buffer.from(payload))
    checkStart(found, false, undefined)
    startExecution(found, payload)
    return { payload: Buffer.from('null') }
  }
  const asyncConfigOf = (functionArn: string) => asyncConfigs[functionArn.split(':')[6] ?? '']
  const queue = openAsyncInvocations(directory, deliver, {
    retriesOf: (functionArn) => asyncConfigOf(functionArn)?.retries,
    onFailed(failed) {
      const queueArn = asyncConfigOf(failed.functionArn)?.failureQueueArn
      if (!queueArn || !sendToQueue) return false
      sendToQueue(queueArn, JSON.stringify(failureRecord(failed)))
      return true
    },
  })

  return {
    service: restJsonService([
      ...invokeOperations({ registry, runner, engine, queue, startExecution }),
      ...durableOperations(engine, registry),
    ]),
    invokeLater: (functionArn, payload) => queue.add(functionArn, JSON.stringify(payload)),
    resume() {
      registry.prune(engine.all().filter(isRunning))
      engine.resume()
      queue.resume()
    },
    async close() {
      engine.close()
      queue.close()
      await runner.stop()
    },
  }
}
