import type { OpenMigration, State } from './state.ts'
import type { Verdict } from './verdict.ts'

export type LeaderChoice = { leader: string } | { unknown: string }

/**
 * Who migrates. While an earlier migration is not shown to have ended, only its own leader may: that target
 * starts no other one before the earlier has ended. Where it is not at hand, only a person can tell.
 */
export function chooseLeader(
  { migration }: State,
  { rollout, environment }: { rollout: string; environment: string },
  prepared: readonly string[],
): LeaderChoice {
  const [first = ''] = prepared
  if (!migration) return { leader: first }
  if (migration.isInterrupted) return { unknown: unknownMigration(migration, environment) }
  if (migration.rollout === rollout || prepared.includes(migration.leader))
    return { leader: migration.leader }
  return { unknown: unknownMigration(migration, environment) }
}

export function unknownMigration({ rollout, release, leader }: OpenMigration, environment: string): string {
  const confirm = `pybundle confirm-migration --environment ${environment} --rollout ${rollout}`
  return `It is not known whether the migration to ${release} has ended on ${leader}, so nothing was activated. Find out, end it if it still runs, and say so: ${confirm} --ended, or --not-run if it changed nothing. Then publish again.`
}

export type MigrationEnd =
  | 'migrated'
  | 'nothing to do'
  | 'failed'
  | 'not begun'
  | 'interrupted'
  | 'not over'
  | 'unknown'

/** What the leader's answer says of the migration. */
export function readMigration({ outcome, migration, silent }: Verdict, hasBegun: boolean): MigrationEnd {
  if (silent) return 'unknown'
  switch (migration) {
    case 'none':
      return outcome === 'done' ? 'nothing to do' : 'not begun'
    case 'running':
      return 'not over'
    case 'ended':
      return 'migrated'
    case undefined:
      return hasBegun ? 'unknown' : 'not begun'
    default:
      return migration
  }
}

/** Which release the database was migrated to since this one was good, whoever did it. */
export function migratedSince({ good, migrated }: State, release: string | null): string | null {
  const since = good.find((known) => known.release === release)?.token ?? 0
  return migrated.find(({ token }) => token > since)?.release ?? null
}

const KEPT_MIGRATIONS = 20

export function beginMigration(state: State, migration: OpenMigration): State {
  return { ...state, migration }
}

/** The leader has said that it runs. */
export function noteBegun(state: State, rollout: string): State {
  const { migration } = state
  return migration?.rollout === rollout ? { ...state, migration: { ...migration, hasBegun: true } } : state
}

/**
 * A leader that is known to have begun can still tell how it ended. One that may not have begun would, when it is
 * asked, begin: that is for a person to clear up, as is what was interrupted.
 */
export function noteUnclear(state: State, open: OpenMigration, isInterrupted: boolean): State {
  const canBeAsked = state.migration?.hasBegun && !isInterrupted
  return canBeAsked ? state : beginMigration(state, { ...open, isInterrupted: true })
}

/** It has ended, and if it changed the database, a rollback to before it wants to be asked for by name. */
export function endMigration(state: State, changed: { release: string; token: number } | undefined): State {
  const migrated = changed ? [changed, ...state.migrated].slice(0, KEPT_MIGRATIONS) : state.migrated
  return { ...state, migration: null, migrated }
}
