import { stateKey } from '../release/keys.ts'
import { refusedByFreeze } from '../release/settings.ts'
import { EMPTY_STATE, type State, state as stateSchema } from '../release/state.ts'
import { UserError } from '../user-error.ts'
import type { OpenedApp } from './open-app.ts'
import { printable } from './printable.ts'

export async function readAppState({ store, scope }: OpenedApp): Promise<State> {
  const stored = await store.readJson(stateKey(scope))
  return stored ? stateSchema.parse(printable(stored)) : EMPTY_STATE
}

/** Before minutes go into making and uploading what would be refused. */
export async function refuseWhenFrozen(app: OpenedApp): Promise<void> {
  const { environment } = app.scope
  const wanted = { action: 'deploy', environment }
  const frozen = refusedByFreeze(await readAppState(app), wanted, new Date().toISOString())
  if (frozen) throw new UserError(`${environment} takes no new release. ${frozen}`)
}
