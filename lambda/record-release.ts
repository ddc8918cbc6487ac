import type { ObjectStore } from '../lib/aws/object-store.ts'
import { type AppScope, releaseKey } from '../lib/release/keys.ts'
import { type PinnedObject, type ReleaseRecord, releaseRecord } from '../lib/release/release.ts'

/**
 * Writes `releases/<id>.json`. In one that is known, what is gone is named where it was found just now; what is there
 * stays as it was pinned and verified, whatever was written under its key since.
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
  if (!known) throw new Error(`release record "${key}" was taken away`)
  const [bundle, code] = [
    await present(store, known, release, 'bundle'),
    await present(store, known, release, 'code'),
  ]
  if (bundle === known.bundle && code === known.code) return
  if (await store.replace(key, format({ ...release, ...known, bundle, code }), stored.eTag)) return
  throw new Error(`release record "${key}" was changed by somebody else`)
}

async function present(
  store: ObjectStore,
  known: ReleaseRecord,
  found: ReleaseRecord,
  half: 'bundle' | 'code',
): Promise<PinnedObject> {
  const isThere = await store.head(known[half].key, known[half].versionId)
  return isThere ? known[half] : found[half]
}

const format = (release: ReleaseRecord) => JSON.stringify(release, null, 1)
