import type { Operation, OperationUpdate } from '@aws-sdk/client-lambda'
import { ServiceError } from '../../http/endpoint.ts'
import { countOperations, type Execution } from './execution.ts'

const ENDED = ['SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMED_OUT', 'STOPPED']
const MAX_OPERATIONS = 3000
const MAX_SECONDS = 31_622_400

/** Enters what the function did into the execution; all of it or, where an update is not valid, nothing. */
export function applyUpdates(execution: Execution, updates: readonly OperationUpdate[], now: Date): string[] {
  const before = structuredClone(execution.operations)
  try {
    for (const update of updates) applyUpdate(execution, update, now)
  } catch (error) {
    execution.operations = before
    throw error
  }
  return updates.flatMap(({ Id }) => Id ?? [])
}

const BY_TYPE: Partial<Record<string, (operation: Operation, update: OperationUpdate, now: Date) => void>> = {
  STEP: applyToStep,
  WAIT: applyToWait,
  CONTEXT: applyToContext,
}

function applyUpdate(execution: Execution, update: OperationUpdate, now: Date): void {
  if (update.Type === 'EXECUTION') {
    // A result too large to be returned is written as the execution's own.
    if (update.Action === 'SUCCEED' && update.Payload !== undefined) execution.result = update.Payload
    return
  }
  const known = execution.operations.find(({ Id }) => Id === update.Id)
  if (known && ENDED.includes(known.Status ?? '')) throw invalid(`Operation ${update.Id} has already ended.`)
  const isOneMore = !known || update.Action === 'RETRY'
  if (isOneMore && countOperations(execution) >= MAX_OPERATIONS) {
    throw invalid(`Durable execution has reached the limit of ${MAX_OPERATIONS} operations.`)
  }
  const apply = BY_TYPE[update.Type ?? '']
  if (!apply) throw invalid(`The local cloud does not run durable operations of type ${update.Type}.`)
  const operation = known ?? begin(update, now)
  apply(operation, update, now)
  if (!known) execution.operations.push(operation)
}

function begin({ Id, ParentId, Name, Type, SubType }: OperationUpdate, now: Date): Operation {
  return {
    Id,
    ...(ParentId && { ParentId }),
    ...(Name && { Name }),
    Type,
    ...(SubType && { SubType }),
    StartTimestamp: now,
    Status: 'STARTED',
  }
}

function applyToStep(operation: Operation, update: OperationUpdate, now: Date): void {
  const { Action, Payload, Error: failure, StepOptions } = update
  const attempt = operation.StepDetails?.Attempt ?? 0
  if (Action === 'START') {
    operation.Status = 'STARTED'
    operation.StepDetails = { ...operation.StepDetails, Attempt: attempt }
    delete operation.StepDetails.NextAttemptTimestamp
    return
  }
  // Counts the attempts that have ended: the SDK takes the running one to be the next.
  const details = { Attempt: attempt + 1, ...(failure && { Error: failure }) }
  if (Action === 'RETRY') {
    operation.Status = 'PENDING'
    const NextAttemptTimestamp = later(now, StepOptions?.NextAttemptDelaySeconds)
    operation.StepDetails = { ...details, ...withResult(Payload), NextAttemptTimestamp }
    return
  }
  operation.StepDetails = { ...details, ...withResult(Payload) }
  end(operation, update, now)
}

function applyToWait(operation: Operation, update: OperationUpdate, now: Date): void {
  if (update.Action !== 'START') end(operation, update, now)
  else operation.WaitDetails = { ScheduledEndTimestamp: later(now, update.WaitOptions?.WaitSeconds) }
}

function applyToContext(operation: Operation, update: OperationUpdate, now: Date): void {
  if (update.Action === 'START') return
  const { Payload, Error: failure, ContextOptions } = update
  operation.ContextDetails = { ...ContextOptions, ...withResult(Payload), ...(failure && { Error: failure }) }
  end(operation, update, now)
}

const END_STATUS = { SUCCEED: 'SUCCEEDED', FAIL: 'FAILED', CANCEL: 'CANCELLED' } as const

function end(operation: Operation, { Action }: OperationUpdate, now: Date): void {
  if (Action !== 'SUCCEED' && Action !== 'FAIL' && Action !== 'CANCEL') {
    throw invalid(`Action ${Action} is not valid for an operation of type ${operation.Type}.`)
  }
  operation.Status = END_STATUS[Action]
  operation.EndTimestamp = now
}

const withResult = (payload: string | undefined) => (payload === undefined ? {} : { Result: payload })

function later(now: Date, seconds: number | undefined): Date {
  if (seconds === undefined || !Number.isInteger(seconds) || seconds < 1 || seconds > MAX_SECONDS) {
    throw invalid(`A delay must be a whole number of seconds from 1 to ${MAX_SECONDS}, not ${seconds}.`)
  }
  return new Date(now.getTime() + seconds * 1000)
}

function invalid(message: string): ServiceError {
  return new ServiceError(400, 'InvalidParameterValueException', message, { Type: 'User' })
}
