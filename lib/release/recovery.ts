import type { Action } from './command.ts'
import type { RolloutRecord } from './record.ts'
import type { Lock } from './state.ts'

/** What is made of a rollout whose engine died. */
export type Recovery =
  /** It had switched nothing: its record is closed. */
  | { do: 'close'; reason: string }
  /** The fleet is, or may be, in between: an execution of its own brings it together. */
  | { do: 'bring together'; tries: number }

/** The first try, and two more for those that die themselves. */
const MOST_TRIES = 3

export function decideRecovery(lock: Lock, ended: string, record: RolloutRecord | undefined): Recovery {
  const engine = `The engine ended as ${ended}`
  if (record?.outcome !== 'running') return { do: 'close', reason: engine }
  const tries = (lock.recovery?.tries ?? 0) + 1
  if (touchedTargets(record).length === 0) {
    return { do: 'close', reason: `${engine} before any target was switched. Nothing was activated.` }
  }
  if (tries > MOST_TRIES) {
    const what = `${engine}, ${MOST_TRIES} times also in bringing the fleet together; targets may differ.`
    return {
      do: 'close',
      reason: `${what} pybundle rollback (to the current release), or a new release, brings them together.`,
    }
  }
  return { do: 'bring together', tries }
}

const SWITCHING: readonly Action[] = ['activate', 'revert', 'catch-up']

/** Whom the rollout has told, or may have told, to switch. */
export function touchedTargets({ phases }: RolloutRecord): string[] {
  const touched = phases.filter(({ action }) => SWITCHING.includes(action)).flatMap(({ targets }) => targets)
  return [...new Set(touched)]
}
