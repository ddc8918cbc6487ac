import type { ObjectStore } from '../lib/aws/object-store.ts'
import { type AppScope, stateKey } from '../lib/release/keys.ts'
import { EMPTY_STATE, type State, state as stateSchema } from '../lib/release/state.ts'

/** `state.json` with the version it was read at: writing it back is a compare-and-swap. */
export interface StoredState {
  state: State
  eTag: string | undefined
}

export async function readState(store: ObjectStore, scope: AppScope): Promise<StoredState> {
  const text = await store.readText(stateKey(scope))
  if (!text) return { state: EMPTY_STATE, eTag: undefined }
  return { state: stateSchema.parse(JSON.parse(text.body)), eTag: text.eTag }
}

/** False when somebody else changed the state in between: read again and decide again. */
export function writeState(
  store: ObjectStore,
  scope: AppScope,
  { state, eTag }: StoredState,
): Promise<boolean> {
  return store.replace(stateKey(scope), JSON.stringify(state, null, 1), eTag)
}
