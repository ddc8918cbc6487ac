import type { ServedRelease, State } from './state.ts'

export type RollbackChoice = { to: ServedRelease } | { refusal: string }

/**
 * Where a rollback goes: to the current release while the fleet is in between, else to the good release before it.
 * One that failed, or was rolled back from, is never chosen.
 */
export function chooseRollback(
  state: State,
  { acrossMigrations, environment }: { acrossMigrations: boolean; environment: string },
): RollbackChoice {
  const { current, good, failed } = state
  if (!current) return { refusal: 'Nothing has been deployed here yet: there is no release to go back to.' }
  const to = state.inBetween
    ? good.find(({ release }) => release === current.release)
    : good.find(({ release }) => release !== current.release && !failed.includes(release))
  if (!to) return { refusal: `No good release before ${current.release} is known: publish one instead.` }
  const crossed = crossedMigrations(state, to.token)
  if (crossed && !acrossMigrations) return { refusal: acrossRefusal(to.release, crossed, environment) }
  const { token: _, ...served } = to
  return { to: served }
}

/** In words; undefined where the database is as old as the release. */
function crossedMigrations({ migrated, migration }: State, since: number): string | undefined {
  const releases = new Set(migrated.filter(({ token }) => token > since).map(({ release }) => release))
  const ended = releases.size > 0 ? [`${[...releases].join(', ')} migrated it since`] : []
  const open = migration ? [`${migration.release} may still be migrating it on ${migration.leader}`] : []
  return [...ended, ...open].join(', ') || undefined
}

function acrossRefusal(to: string, crossed: string, environment: string): string {
  return `Release ${to} is older than the database: ${crossed}, and a rollback does not undo that. If ${to} works with it all the same: pybundle rollback --environment ${environment} --across-migrations`
}
