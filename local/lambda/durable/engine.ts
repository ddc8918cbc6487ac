import type { ErrorObject, OperationUpdate } from '@aws-sdk/client-lambda'
import { Operation$ } from '@aws-sdk/client-lambda'
import { ServiceError } from '../../http/endpoint.ts'
import { toJson } from '../rest-json.ts'
import type { InvocationResult } from '../runtime-api.ts'
import { applyUpdates } from './apply-updates.ts'
import { completeDue, type Execution, endExecution, isRunning, nextInvocation } from './execution.ts'
import type { ExecutionStore } from './execution-store.ts'
import { settleInvocation } from './invocation-outcome.ts'
import { sleepUntil } from './sleep-until.ts'
import { findStarted, newCheckpointToken, newExecution, type StartOptions } from './start-execution.ts'

/** Runs durable executions: invokes, checkpoints, waits, invokes again; all state is on disk. */
export interface DurableEngine {
  start(options: Omit<StartOptions, 'now'>): Execution
  /** Resolves when the execution has ended. */
  ended(execution: Execution): Promise<void>
  checkpoint(arn: string, checkpoint: Checkpoint): { token: string; changed: Execution['operations'] }
  stop(arn: string, error: ErrorObject | undefined): Date
  find(arn: string): Execution
  all(): Execution[]
  /** Goes on with what ran when the local cloud was ended. */
  resume(): void
  close(): void
}

export interface Checkpoint {
  token: string
  clientToken: string | undefined
  updates: readonly OperationUpdate[]
}

export interface DurableEngineOptions {
  store: ExecutionStore
  invoke(execution: Execution, payload: Buffer): Promise<InvocationResult>
  limits(execution: Execution): { executionTimeoutSeconds: number; retentionDays: number }
  onStatusChange(execution: Execution): void
}

export function createDurableEngine(options: DurableEngineOptions): DurableEngine {
  const { store, invoke, limits, onStatusChange } = options
  const closing = new AbortController()
  const running = new Map<string, { done: Promise<void>; stop: AbortController }>()

  const deadlineOf = (execution: Execution) =>
    new Date(execution.startTimestamp.getTime() + limits(execution).executionTimeoutSeconds * 1000)

  const end = (execution: Execution, ...how: TailOf<typeof endExecution>) => {
    endExecution(execution, ...how)
    saveEnd(execution)
  }
  const saveEnd = (execution: Execution) => {
    store.save(execution)
    onStatusChange(execution)
  }

  const drive = async (execution: Execution, stop: AbortSignal) => {
    const deadline = deadlineOf(execution)
    const expired = sleepUntil(deadline, stop)
    while (isRunning(execution)) {
      const due = nextInvocation(execution) ?? deadline
      await sleepUntil(due < deadline ? due : deadline, stop)
      if (stop.aborted) return
      if (Date.now() >= deadline.getTime()) return end(execution, 'TIMED_OUT', new Date())
      const result = await Promise.race([invokeOnce(execution), expired])
      if (stop.aborted) return
      if (!result) return end(execution, 'TIMED_OUT', new Date())
      delete execution.invoking
      settleInvocation(execution, result, new Date())
      if (isRunning(execution)) store.save(execution)
      else saveEnd(execution)
    }
  }

  const invokeOnce = (execution: Execution) => {
    const updated = completeDue(execution, new Date())
    delete execution.nextTryTimestamp
    delete execution.lastCheckpoint
    execution.invoking = true
    execution.checkpointToken = newCheckpointToken()
    store.save(execution)
    return invoke(execution, invocationPayload(execution, updated))
  }

  const run = (execution: Execution) => {
    const stop = new AbortController()
    const done = drive(execution, AbortSignal.any([stop.signal, closing.signal])).finally(() => {
      stop.abort()
      running.delete(execution.id)
    })
    running.set(execution.id, { done, stop })
  }

  const engine: DurableEngine = {
    start(start) {
      const known = findStarted(store.all(), { ...start, now: new Date() })
      if (known) return known
      const execution = newExecution({ ...start, now: new Date() })
      store.save(execution)
      onStatusChange(execution)
      run(execution)
      return execution
    },
    ended: async ({ id }) => running.get(id)?.done,
    checkpoint(arn, { token, clientToken, updates }) {
      const execution = engine.find(arn)
      const repeated = clientToken !== undefined && execution.lastCheckpoint?.clientToken === clientToken
      if (!repeated) {
        if (!isRunning(execution) || token !== execution.checkpointToken) throw staleToken()
        const now = new Date()
        const changed = [...completeDue(execution, now), ...applyUpdates(execution, updates, now)]
        execution.checkpointToken = newCheckpointToken()
        execution.lastCheckpoint = { clientToken: clientToken ?? '', changed }
        store.save(execution)
      }
      const changed = new Set(execution.lastCheckpoint?.changed)
      return {
        token: execution.checkpointToken,
        changed: execution.operations.filter(({ Id }) => changed.has(Id ?? '')),
      }
    },
    stop(arn, error) {
      const execution = engine.find(arn)
      if (isRunning(execution)) {
        end(execution, 'STOPPED', new Date(), { error })
        running.get(execution.id)?.stop.abort()
      }
      return execution.endTimestamp ?? new Date()
    },
    find(arn) {
      const found = store.all().find((execution) => execution.arn === arn)
      if (found) return found
      const message = `Durable execution not found: ${arn}`
      throw new ServiceError(404, 'ResourceNotFoundException', message, { Type: 'User' })
    },
    all: store.all,
    resume() {
      const isForgotten = (execution: Execution) =>
        execution.endTimestamp !== undefined &&
        Date.now() - execution.endTimestamp.getTime() > limits(execution).retentionDays * 86_400_000
      for (const execution of store.all()) {
        if (isForgotten(execution)) store.remove(execution)
        else if (isRunning(execution)) {
          if (execution.invoking) execution.nextTryTimestamp = new Date()
          run(execution)
        }
      }
    },
    close: () => closing.abort(),
  }
  return engine
}

type TailOf<F> = F extends (first: never, ...rest: infer Rest) => unknown ? Rest : never

function invocationPayload({ arn, checkpointToken, operations }: Execution, updated: string[]): Buffer {
  return Buffer.from(
    JSON.stringify({
      DurableExecutionArn: arn,
      CheckpointToken: checkpointToken,
      InitialExecutionState: {
        Operations: operations.map((operation) => JSON.parse(toJson(Operation$, operation).toString())),
      },
      ...(updated.length > 0 && { UpdatedOperationIds: updated }),
    }),
  )
}

/** The service's own words: SDK 2.4.0 looks for others (aws-durable-execution-sdk-js issue 917). */
function staleToken(): ServiceError {
  const message = 'Invalid checkpoint token'
  return new ServiceError(400, 'InvalidParameterValueException', message, { Type: 'User' })
}
