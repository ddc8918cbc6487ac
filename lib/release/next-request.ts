import type { ExecutionStatus, State } from './state.ts'

/** A request without a rollout record. */
export interface WaitingRequest {
  id: string
  /** When S3 had it, by its own clock: publishers' clocks disagree. */
  storedAt: Date
  /** Takes effect at once, whoever has the lock. */
  isSetting?: boolean
}

export interface Situation {
  state: State
  waiting: readonly WaitingRequest[]
  /** Of the lock's owner; undefined when that execution was never started. */
  owner: ExecutionStatus | undefined
}

/** What "look again" finds to be done. */
export type Next =
  | { do: 'nothing' }
  /** The lock was taken, but its execution never started: close what waited before it, and start it. */
  | { do: 'start owner'; superseded: string[] }
  /** The lock's owner is dead: end its record, free the lock, look again. */
  | { do: 'recover'; ended: ExecutionStatus }
  | { do: 'accept'; request: string }
  | { do: 'apply'; request: string }

/**
 * Settings first, in the order in which they came. One rollout at a time; of the waiting requests the newest is
 * accepted. Those before it are superseded once it has the lock, not earlier: it may be refused, or another look may
 * give the lock to one of them.
 */
export function decideNext({ state: { lock }, waiting, owner }: Situation): Next {
  const [oldest] = waiting
    .filter(({ isSetting }) => isSetting)
    .sort(newestFirst)
    .reverse()
  if (oldest) return { do: 'apply', request: oldest.id }
  if (lock && !owner) return { do: 'start owner', superseded: idsBefore(lock.request, waiting) }
  if (lock && owner) return owner === 'RUNNING' ? { do: 'nothing' } : { do: 'recover', ended: owner }
  const [newest] = [...waiting].sort(newestFirst)
  return newest ? { do: 'accept', request: newest.id } : { do: 'nothing' }
}

function idsBefore(id: string, waiting: readonly WaitingRequest[]): string[] {
  const ids = [...waiting].sort(newestFirst).map((request) => request.id)
  return ids.includes(id) ? ids.slice(ids.indexOf(id) + 1) : []
}

function newestFirst(a: WaitingRequest, b: WaitingRequest): number {
  return b.storedAt.getTime() - a.storedAt.getTime() || b.id.localeCompare(a.id)
}
