import type { ErrorObject, Operation, OperationUpdate } from '@aws-sdk/client-lambda'
import { Operation$ } from '@aws-sdk/client-lambda'
import { ServiceError } from '../../http/endpoint.ts'
import { toJson } from '../../http/json-codec.ts'
import { type SleepUntil, sleepUntil } from '../../sleep-until.ts'
import type { DurableSettings } from '../function-config.ts'
import type { InvocationResult } from '../runtime-api.ts'
import { applyUpdates } from './apply-updates.ts'
import { completeDue, type Execution, endExecution, isRunning, nextInvocation } from './execution.ts'
import type { ExecutionStore } from './execution-store.ts'
import { settleInvocation } from './invocation-outcome.ts'
import { findStarted, newCheckpointToken, newExecution, type StartOptions } from './start-execution.ts'

export interface DurableEngineOptions {
  store: ExecutionStore
  invoke(execution: Execution, payload: Buffer): Promise<InvocationResult>
  limits(execution: Execution): DurableSettings
  onStatusChange(execution: Execution): void
  /** Tests bring a clock of their own. */
  sleepUntil?: SleepUntil
}

export interface Checkpoint {
  token: string
  /** Of one try and its repetitions. */
  clientToken: string | undefined
  updates: readonly OperationUpdate[]
}

interface Drive {
  done: Promise<void>
  stop: AbortController
}

/** Runs durable executions: invokes, takes checkpoints, waits, invokes again; all state is on disk. */
export class DurableEngine {
  readonly #options: DurableEngineOptions
  readonly #closing = new AbortController()
  readonly #drives = new Map<string, Drive>()
  readonly #sleepUntil: SleepUntil

  constructor(options: DurableEngineOptions) {
    this.#options = options
    this.#sleepUntil = options.sleepUntil ?? sleepUntil
  }

  /** A new execution, or the one that was started by the same name. */
  start(options: Omit<StartOptions, 'now'>): Execution {
    const start = { ...options, now: new Date() }
    const known = findStarted(this.all(), start)
    if (known) return known
    const execution = newExecution(start)
    this.#save(execution, { isNews: true })
    this.#run(execution)
    return execution
  }

  /** Resolves when the execution has ended. */
  async ended({ id }: Execution): Promise<void> {
    await this.#drives.get(id)?.done
  }

  /** Takes what the function did; the operations that are different now, and the token for the next time. */
  checkpoint(arn: string, checkpoint: Checkpoint): { token: string; changed: Operation[] } {
    const execution = this.find(arn)
    if (!isRepeated(execution, checkpoint)) {
      this.#accept(execution, checkpoint)
      this.#save(execution)
    }
    const changed = new Set(execution.lastCheckpoint?.changed)
    return {
      token: execution.checkpointToken,
      changed: execution.operations.filter(({ Id }) => changed.has(Id ?? '')),
    }
  }

  /** What the function is doing goes on until its next checkpoint is refused. */
  stop(arn: string, error: ErrorObject | undefined): Date {
    const execution = this.find(arn)
    if (isRunning(execution)) {
      endExecution(execution, 'STOPPED', new Date(), { error })
      this.#save(execution, { isNews: true })
      this.#drives.get(execution.id)?.stop.abort()
    }
    return execution.endTimestamp ?? new Date()
  }

  find(arn: string): Execution {
    const found = this.all().find((execution) => execution.arn === arn)
    if (found) return found
    const message = `Durable execution not found: ${arn}`
    throw new ServiceError(404, 'ResourceNotFoundException', message, { Type: 'User' })
  }

  all(): Execution[] {
    return this.#options.store.all()
  }

  /** Goes on with what ran when the local cloud was ended, and forgets what is past its retention. */
  resume(): void {
    for (const execution of this.all()) {
      if (isRunning(execution)) {
        if (execution.invoking) execution.nextTryTimestamp = new Date()
        this.#run(execution)
      } else if (this.#isForgotten(execution)) this.#options.store.remove(execution)
    }
  }

  close(): void {
    this.#closing.abort()
  }

  #run(execution: Execution): void {
    const stop = new AbortController()
    const done = this.#drive(execution, AbortSignal.any([stop.signal, this.#closing.signal])).finally(() => {
      stop.abort()
      this.#drives.delete(execution.id)
    })
    this.#drives.set(execution.id, { done, stop })
  }

  async #drive(execution: Execution, stop: AbortSignal): Promise<void> {
    const seconds = this.#options.limits(execution).executionTimeoutSeconds
    const deadline = new Date(execution.startTimestamp.getTime() + seconds * 1000)
    const expired = this.#sleepUntil(deadline, stop)
    while (isRunning(execution)) {
      await Promise.race([this.#sleepUntil(nextInvocation(execution) ?? deadline, stop), expired])
      if (stop.aborted) return
      const result =
        Date.now() < deadline.getTime() && (await Promise.race([this.#invoke(execution), expired]))
      // What it did up to here is on disk; the next local cloud goes on.
      if (stop.aborted) return
      delete execution.invoking
      if (result) settleInvocation(execution, result, new Date())
      else endExecution(execution, 'TIMED_OUT', new Date())
      this.#save(execution, { isNews: !isRunning(execution) })
    }
  }

  #invoke(execution: Execution): Promise<InvocationResult> {
    const updated = completeDue(execution, new Date())
    delete execution.nextTryTimestamp
    delete execution.lastCheckpoint
    execution.invoking = true
    execution.checkpointToken = newCheckpointToken()
    this.#save(execution)
    return this.#options.invoke(execution, invocationPayload(execution, updated))
  }

  #accept(execution: Execution, { token, clientToken = '', updates }: Checkpoint): void {
    if (!isRunning(execution) || token !== execution.checkpointToken) throw staleToken()
    const now = new Date()
    const changed = [...applyUpdates(execution, updates, now), ...completeDue(execution, now)]
    execution.checkpointToken = newCheckpointToken()
    execution.lastCheckpoint = { clientToken, changed }
  }

  #save(execution: Execution, { isNews = false } = {}): void {
    this.#options.store.save(execution)
    if (isNews) this.#options.onStatusChange(execution)
  }

  #isForgotten(execution: Execution): boolean {
    const { retentionDays } = this.#options.limits(execution)
    return Date.now() - Number(execution.endTimestamp ?? Date.now()) > retentionDays * 86_400_000
  }
}

function isRepeated({ lastCheckpoint }: Execution, { clientToken }: Checkpoint): boolean {
  return clientToken !== undefined && lastCheckpoint?.clientToken === clientToken
}

/** What the SDK's handler is invoked with. */
function invocationPayload({ arn, checkpointToken, operations }: Execution, updated: string[]): Buffer {
  const Operations = operations.map((operation) => JSON.parse(toJson(Operation$, operation).toString()))
  return Buffer.from(
    JSON.stringify({
      DurableExecutionArn: arn,
      CheckpointToken: checkpointToken,
      InitialExecutionState: { Operations },
      ...(updated.length > 0 && { UpdatedOperationIds: updated }),
    }),
  )
}

/** The service's own words: SDK 2.4.0 looks for others (aws-durable-execution-sdk-js issue 917). */
function staleToken(): ServiceError {
  const message = 'Invalid checkpoint token'
  return new ServiceError(400, 'InvalidParameterValueException', message, { Type: 'User' })
}
