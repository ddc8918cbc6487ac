import type { ServedRelease, State } from './state.ts'

export type RollbackChoice = { to: ServedRelease } | { refusal: string }

/**
 * Where a rollback goes: back to the current release where a rollout stopped half-way, else to the good release
 * before it. One that failed, or was rolled back from, is never chosen.
 */
export function chooseRollback(
  state: State,
  { acrossMigrations, environment }: { acrossMigrations: boolean; environment: string },
): RollbackChoice {
  const { current, good, failed, lock } = state
  if (!current) return { refusal: 'Nothing has been deployed here yet: there is no release to go back to.' }
  const isInBetween = lock?.isStopped && state.desired?.release !== current.release
  const to = isInBetween
    ? good.find(({ release }) => release === current.release)
    : good.find(({ release }) => release !== current.release && !failed.includes(release))
  if (!to) return { refusal: `No good release before ${current.release} is known: publish one instead.` }
  const crossed = state.migrated.filter(({ token }) => token > to.token)
  if (crossed.length > 0 && !acrossMigrations)
    return { refusal: acrossRefusal(to.release, crossed, environment) }
  return { to: { release: to.release, bundle: to.bundle, code: to.code } }
}

function acrossRefusal(to: string, crossed: readonly { release: string }[], environment: string): string {
  const releases = [...new Set(crossed.map(({ release }) => release))].join(', ')
  return `Release ${to} is older than the database: ${releases} migrated it since, and a rollback does not undo that. If ${to} works with it all the same: pybundle rollback --environment ${environment} --across-migrations`
}
