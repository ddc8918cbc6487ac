import type { ArtifactStore, StoredLike } from '../aws/artifact-store.ts'
import { MIN_PART } from '../aws/plan-parts.ts'
import { readLayout, sameRanges } from '../bundle/layout.ts'
import { withFile } from '../bundle/read-ranges.ts'
import { parseUploadKey, type Upload } from '../release/keys.ts'
import type { PinnedObject } from '../release/release.ts'
import { UserError } from '../user-error.ts'
import { desiredRelease } from './desired-release.ts'
import { explainAwsError } from './explain-aws-error.ts'

type Place = Pick<PinnedObject, 'key' | 'versionId' | 'size'>

/** What the bucket has already of a bundle's bytes; undefined where nothing is gained by that. */
export async function similarBundle(
  store: ArtifactStore,
  key: string,
  { file, size }: { file: string; size: number },
): Promise<StoredLike | undefined> {
  const upload = parseUploadKey(key)
  if (upload?.kind !== 'bundle' || size < 2 * MIN_PART) return undefined
  try {
    const place = await findPrevious(store, key, upload)
    return place && { ...place, same: await compare(store, place, file) }
  } catch (error) {
    // Without the other bundle this one is uploaded whole.
    if (explainAwsError(error) instanceof UserError) return undefined
    throw error
  }
}

async function compare(store: ArtifactStore, { key, versionId, size }: Place, file: string) {
  const read = (start: number, end: number) => store.readRange(key, versionId, start, end)
  const [layout, older] = await Promise.all([withFile(file, readLayout), readLayout({ size, read })])
  return sameRanges(layout, older)
}

/** What the environment is to run; before the first release, what was uploaded last. */
async function findPrevious(store: ArtifactStore, key: string, scope: Upload): Promise<Place | undefined> {
  const desired = await desiredRelease(store, scope).catch(absentIfUser)
  const pinned = desired && (await locate(store, desired.bundle.key, desired.bundle.versionId))
  if (pinned) return pinned
  const folder = key.slice(0, key.lastIndexOf('/') + 1)
  const stored = (await store.list(folder)).filter((object) => parseUploadKey(object.key)?.kind === 'bundle')
  const [newest] = stored.sort((a, b) => b.lastModified.getTime() - a.lastModified.getTime())
  return newest && locate(store, newest.key)
}

function absentIfUser(error: unknown): undefined {
  if (!(error instanceof UserError)) throw error
}

async function locate(store: ArtifactStore, key: string, versionId?: string): Promise<Place | undefined> {
  const found = await store.head(key, versionId)
  return found && { key, versionId: found.versionId, size: found.size }
}
