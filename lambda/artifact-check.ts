import type { ObjectStore } from '../lib/aws/object-store.ts'
import { readManifest } from '../lib/bundle/read-manifest.ts'
import { codeArchiveKind, digestCodeArchive } from '../lib/code/check-archive.ts'
import type { ArtifactKind } from '../lib/release/keys.ts'
import type { PinnedObject } from '../lib/release/release.ts'
import { UserError } from '../lib/user-error.ts'

interface ObjectVersion {
  key: string
  versionId?: string
}

/** Pins an uploaded artifact at its version, with its digest; a UserError when it is not what its name says. */
export async function pinArtifact(
  store: ObjectStore,
  kind: ArtifactKind,
  { key, versionId }: ObjectVersion,
): Promise<PinnedObject> {
  const object = await store.head(key, versionId)
  if (!object) throw new UserError(`${kind} "${key}" is not in the bucket. Publish it again.`)
  const pinned = { key, versionId: object.versionId, size: object.size }
  try {
    const digest = kind === 'bundle' ? await bundleDigest(store, pinned) : await codeDigest(store, pinned)
    return { ...pinned, digest }
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`"${key}": ${error.message}`, { cause: error })
    throw error
  }
}

type SizedVersion = Omit<PinnedObject, 'digest'>

async function bundleDigest(store: ObjectStore, { key, versionId, size }: SizedVersion): Promise<string> {
  const read = (start: number, end: number) => store.readRange(key, versionId, start, end)
  return (await readManifest({ size, read })).digest
}

async function codeDigest(store: ObjectStore, { key, versionId }: SizedVersion): Promise<string> {
  return digestCodeArchive(await store.readStream(key, versionId), codeArchiveKind(key) ?? 'tar.gz')
}
