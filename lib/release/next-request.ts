import type { ExecutionStatus, State } from './state.ts'

/** A request without a rollout record. */
export interface WaitingRequest {
  id: string
  /** When S3 had it, by its own clock: publishers' clocks disagree. */
  storedAt: Date
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
  /** The lock was taken, but its execution never started: start it. */
  | { do: 'start owner' }
  /** The lock's owner is dead: end its record, free the lock, look again. */
  | { do: 'recover'; ended: ExecutionStatus }
  | { do: 'start'; request: string; superseded: string[] }

/** One rollout at a time; of the waiting requests the newest is started, those before it are superseded. */
export function decideNext({ state, waiting, owner }: Situation): Next {
  if (state.lock) {
    if (!owner) return { do: 'start owner' }
    return owner === 'RUNNING' ? { do: 'nothing' } : { do: 'recover', ended: owner }
  }
  const [newest, ...older] = [...waiting].sort(newestFirst)
  if (!newest) return { do: 'nothing' }
  return { do: 'start', request: newest.id, superseded: older.map(({ id }) => id) }
}

function newestFirst(a: WaitingRequest, b: WaitingRequest): number {
  return b.storedAt.getTime() - a.storedAt.getTime() || b.id.localeCompare(a.id)
}
