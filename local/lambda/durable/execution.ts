import type { ErrorObject, Operation } from '@aws-sdk/client-lambda'

export type Status = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'STOPPED'

/** One durable execution, as it lies on disk. */
export interface Execution {
  id: string
  arn: string
  name: string
  functionName: string
  /** Qualified with the version that it began with, and ends with. */
  functionArn: string
  version: string
  status: Status
  input: string
  startTimestamp: Date
  endTimestamp?: Date
  result?: string
  error?: ErrorObject
  /** The first is the execution itself; the others in the order in which they began. */
  operations: Operation[]
  /** Whoever holds another one is not the newest invocation, or repeats itself. */
  checkpointToken: string
  /** The checkpoint that gave the token, so that one that is sent again is answered again. */
  lastCheckpoint?: { clientToken: string; changed: string[] }
  /** In a row; the next invocation waits longer each time. */
  failedInvocations: number
  /** Of an invocation that waits for none of the operations: the first, or one after a failed one. */
  nextTryTimestamp?: Date
  /** An invocation was running: when the local cloud starts again, the next one begins at once. */
  invoking?: boolean
}

export const isRunning = ({ status }: Execution) => status === 'RUNNING'

/** As AWS meters them: each try again is one, and each look of a condition beside the condition itself. */
export function countOperations({ operations }: Execution): number {
  return operations.reduce((count, { SubType, StepDetails }) => {
    const tries = StepDetails?.Attempt ?? 0
    return count + (SubType === 'WaitForCondition' ? 1 + tries : Math.max(1, tries))
  }, 0)
}

/** When the function is to be invoked next: as soon as the first wait or retry is due. */
export function nextInvocation(execution: Execution): Date | undefined {
  if (execution.nextTryTimestamp) return execution.nextTryTimestamp
  const due = execution.operations.flatMap((operation) => dueTime(operation) ?? [])
  return due.length > 0 ? new Date(Math.min(...due.map(Number))) : undefined
}

/** Ends waits and readies retries whose time has come; their ids. */
export function completeDue(execution: Execution, now: Date): string[] {
  const due = execution.operations.filter((operation) => {
    const time = dueTime(operation)
    return time !== undefined && time <= now && operation.Status !== 'READY'
  })
  for (const operation of due) {
    if (operation.Type === 'WAIT') Object.assign(operation, { Status: 'SUCCEEDED', EndTimestamp: now })
    else operation.Status = 'READY'
  }
  return due.flatMap(({ Id }) => Id ?? [])
}

function dueTime({ Type, Status, WaitDetails, StepDetails }: Operation): Date | undefined {
  if (Type === 'WAIT' && Status === 'STARTED') return WaitDetails?.ScheduledEndTimestamp
  const isRetry = Type === 'STEP' && (Status === 'PENDING' || Status === 'READY')
  return isRetry ? StepDetails?.NextAttemptTimestamp : undefined
}

export function endExecution(
  execution: Execution,
  status: Exclude<Status, 'RUNNING'>,
  now: Date,
  outcome: { result?: string | undefined; error?: ErrorObject | undefined } = {},
): void {
  execution.status = status
  execution.endTimestamp = now
  if (outcome.result !== undefined) execution.result = outcome.result
  if (outcome.error) execution.error = outcome.error
  const [own] = execution.operations
  if (own) Object.assign(own, { Status: status, EndTimestamp: now })
}
