import type { ObjectStore } from '../aws/object-store.ts'
import { DIGEST_METADATA } from '../release/artifact-metadata.ts'
import { withRetiredTag } from '../release/retention.ts'
import type { Artifact } from './artifacts.ts'

/** Whether the bucket has it, to stay: one that is retired may be gone before the request for it is taken up. */
export async function isStored(store: ObjectStore, { key, digest, local }: Artifact): Promise<boolean> {
  const stored = await store.head(key)
  if (stored?.metadata[DIGEST_METADATA] !== digest) return false
  if (local && stored.size !== local.size) return false
  if (stored.tagCount === 0) return true
  const tags = await store.readTags(key)
  return tags !== undefined && withRetiredTag(tags, false) === undefined
}
