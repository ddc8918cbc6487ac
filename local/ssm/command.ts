/** A command and its invocations, as SSM keeps them. */
export interface CommandRecord {
  commandId: string
  documentName: string
  documentVersion: string
  comment: string
  parameters: Record<string, string[]>
  /** As the agents are sent them. */
  resolvedParameters: Record<string, string | string[]>
  targets: { Key?: string | undefined; Values?: string[] | undefined }[]
  instanceIds: string[]
  /** Tags are resolved after the answer: until then the command has no invocations. */
  isResolved: boolean
  maxConcurrency: string
  maxErrors: string
  timeoutSeconds: number
  requestedAt: string
  expiresAt: string
  isCancelled: boolean
  invocations: Record<string, InvocationRecord>
}

export type InvocationStatus =
  | 'Pending'
  | 'InProgress'
  | 'Success'
  | 'Failed'
  | 'TimedOut'
  | 'Cancelling'
  | 'Cancelled'

export interface InvocationRecord {
  instanceId: string
  status: InvocationStatus
  /** `Terminated`, `DeliveryTimedOut` and the like. */
  statusDetails: string
  sentAt?: string
  endedAt?: string
  steps: Record<string, StepRecord>
}

export interface StepRecord {
  plugin: string
  status: string
  code: number
  output: string
  standardOutput: string
  standardError: string
  startedAt?: string | undefined
  endedAt?: string | undefined
}

const ENDED: InvocationStatus[] = ['Success', 'Failed', 'TimedOut', 'Cancelled']

export function hasEnded({ status }: InvocationRecord): boolean {
  return ENDED.includes(status)
}

export function isOver(command: CommandRecord): boolean {
  return command.isResolved && invocationsOf(command).every(hasEnded)
}

export function pendingInvocations(instanceIds: readonly string[]): Record<string, InvocationRecord> {
  return Object.fromEntries(
    instanceIds.map((instanceId) => [
      instanceId,
      { instanceId, status: 'Pending', statusDetails: 'Pending', steps: {} },
    ]),
  )
}

export const invocationsOf = ({ invocations }: CommandRecord) => Object.values(invocations)

/** Only what the agent itself reported counts: who was never reached does not. */
export function countErrors(command: CommandRecord): number {
  return invocationsOf(command).filter(({ statusDetails }) =>
    ['Failed', 'ExecutionTimedOut'].includes(statusDetails),
  ).length
}

/** Who is to be sent the command now, and who not any more, as MaxConcurrency and MaxErrors say. */
export function nextInvocations(command: CommandRecord): {
  send: InvocationRecord[]
  terminate: InvocationRecord[]
} {
  const all = invocationsOf(command)
  const unsent = all.filter(({ status, sentAt }) => status === 'Pending' && !sentAt)
  if (command.isCancelled || countErrors(command) > limit(command.maxErrors, all.length)) {
    return { send: [], terminate: unsent }
  }
  const active = all.filter((invocation) => invocation.sentAt && !hasEnded(invocation)).length
  const room = Math.max(1, limit(command.maxConcurrency, all.length)) - active
  return { send: unsent.slice(0, Math.max(0, room)), terminate: [] }
}

function limit(text: string, total: number): number {
  const value = Number.parseInt(text, 10)
  return text.endsWith('%') ? Math.floor((total * value) / 100) : value
}

/** Status and details of the whole command, from those of its invocations. */
export function commandStatus(command: CommandRecord): { status: string; details: string } {
  const all = invocationsOf(command)
  if (!command.isResolved) return same('Pending')
  if (all.length === 0) return { status: 'Success', details: 'NoInstancesInTag' }
  if (!all.every(hasEnded)) {
    if (command.isCancelled) return same('Cancelling')
    return same(all.some(({ sentAt }) => sentAt) ? 'InProgress' : 'Pending')
  }
  const has = (details: string) => all.some(({ statusDetails }) => statusDetails === details)
  if (all.every(({ status }) => status === 'Success')) return same('Success')
  if (command.isCancelled) return same('Cancelled')
  if (countErrors(command) > limit(command.maxErrors, all.length)) {
    return has('Failed') ? same('Failed') : { status: 'TimedOut', details: 'ExecutionTimedOut' }
  }
  if (all.every(({ statusDetails }) => statusDetails === 'DeliveryTimedOut')) {
    return { status: 'TimedOut', details: 'DeliveryTimedOut' }
  }
  return has('Failed') || has('ExecutionTimedOut')
    ? { status: 'Failed', details: 'Incomplete' }
    : same('Success')
}

const same = (status: string) => ({ status, details: status })
