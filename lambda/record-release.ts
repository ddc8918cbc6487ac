import type { ObjectStore } from '../lib/aws/object-store.ts'
import { type AppScope, releaseKey } from '../lib/release/keys.ts'
import { type ReleaseRecord, releaseRecord } from '../lib/release/release.ts'

/**
 * Writes `releases/<id>.json`. One that is known is moved to where its artifacts were found just now: those it was
 * pinned to before may be retired, or gone.
 */
export async function recordRelease(
  store: ObjectStore,
  scope: AppScope,
  release: ReleaseRecord,
): Promise<void> {
  const key = releaseKey(scope, release.release)
  if (await store.createOnly(key, format(release))) return
  const stored = await store.readText(key)
  const known = stored && releaseRecord.parse(JSON.parse(stored.body))
  if (known && isSame(known, release)) return
  const moved = { ...release, ...known, bundle: release.bundle, code: release.code }
  if (await store.replace(key, format(moved), stored?.eTag)) return
  throw new Error(`release record "${key}" was changed by somebody else`)
}

const format = (release: ReleaseRecord) => JSON.stringify(release, null, 1)

function isSame(one: ReleaseRecord, other: ReleaseRecord): boolean {
  return (['bundle', 'code'] as const).every(
    (half) => one[half].key === other[half].key && one[half].versionId === other[half].versionId,
  )
}
