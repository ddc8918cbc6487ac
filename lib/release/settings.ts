import type { SettingRequest } from './request.ts'
import type { State } from './state.ts'

/** What a request that starts no rollout makes of the state, or why it cannot. */
export type Setting = { state: State; said: string } | { refusal: string }

export function applySetting(state: State, asked: SettingRequest): Setting {
  if (asked.action === 'cancel') return cancel(state, asked)
  if (asked.action === 'confirm-migration') return confirmMigration(state, asked)
  if (asked.action === 'refresh') return { state, said: 'The fleet is asked what it serves.' }
  if (asked.action === 'unfreeze')
    return { state: { ...state, freeze: null }, said: 'Rollouts are let in again.' }
  const { reason, until, requestedBy: by } = asked
  const freeze = { reason, by, ...(until && { until }) }
  return {
    state: { ...state, freeze },
    said: `No new release is let in${until ? ` until ${until}` : ''}: ${reason}`,
  }
}

function cancel(state: State, asked: Extract<SettingRequest, { action: 'cancel' }>): Setting {
  const { rollout, revert, id, requestedBy: by } = asked
  const { lock } = state
  if (lock?.request !== rollout) return { refusal: `Rollout ${rollout} does not run any more.` }
  if (lock.recovery) {
    return {
      refusal: `The engine of rollout ${rollout} has died: its fleet is being brought together already.`,
    }
  }
  if (state.good[0]?.token === lock.token) {
    return {
      refusal: `Rollout ${rollout} has the whole fleet on its release already; a rollback takes it back.`,
    }
  }
  const said = revert
    ? `Rollout ${rollout} brings the fleet back after the wave that is under way.`
    : `Rollout ${rollout} stops after the wave that is under way.`
  return { state: { ...state, lock: { ...lock, cancel: { request: id, by, revert } } }, said }
}

function confirmMigration(
  state: State,
  { rollout, ended }: Extract<SettingRequest, { action: 'confirm-migration' }>,
): Setting {
  const { migration, lock } = state
  if (migration?.rollout !== rollout) return { refusal: `No migration of rollout ${rollout} is open.` }
  if (lock) return { refusal: `Rollout ${lock.request} is at work; confirm when it has ended.` }
  // Whoever knows that it ended does not say that it changed nothing: a rollback asks.
  const migrated = ended
    ? [{ release: migration.release, token: state.token }, ...state.migrated]
    : state.migrated
  const said = `The migration of rollout ${rollout} is taken to have ${ended ? 'ended' : 'changed nothing'}.`
  return { state: { ...state, migration: null, migrated }, said }
}

/** Why nothing new is let in now; what is not new always is, or a freeze would keep a broken fleet as it is. */
export function refusedByFreeze(
  { freeze }: State,
  { action, environment }: { action: string; environment: string },
  now: string,
): string | undefined {
  if (!freeze || ['rollback', 'repair'].includes(action) || (freeze.until && freeze.until <= now))
    return undefined
  const until = freeze.until
    ? `until ${freeze.until}`
    : `until it is lifted (pybundle unfreeze --environment ${environment})`
  return `Frozen by ${freeze.by} ${until}: ${freeze.reason}`
}
