import type { ObjectStore } from '../aws/object-store.ts'
import { type AppScope, releaseKey, stateKey } from '../release/keys.ts'
import { type ReleaseRecord, releaseRecord } from '../release/release.ts'
import { state } from '../release/state.ts'
import { UserError } from '../user-error.ts'

/** A release's record, and the request that asked for it. */
export type AskedRelease = ReleaseRecord & { request?: string | undefined }

/** What an environment was last asked to run; the half that is not published now is taken from it. */
export async function desiredRelease(store: ObjectStore, scope: AppScope): Promise<AskedRelease> {
  const stored = await store.readJson(stateKey(scope))
  const desired = stored ? state.parse(stored).desired : undefined
  const record = desired && (await store.readJson(releaseKey(scope, desired.release)))
  if (record) return { ...releaseRecord.parse(record), request: desired.request }
  throw new UserError(
    `${scope.app} was never deployed to ${scope.environment}, so there is nothing to combine this with. The first time publish both: pybundle publish-release --environment ${scope.environment}`,
  )
}
