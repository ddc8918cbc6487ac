import { z } from 'zod'
import { DIGEST_PATTERN, type Digest, sha256 } from './digest.ts'

export const RELEASE_ID_PATTERN = /^[0-9a-f]{12}$/

/** One bundle and one code archive: the first 12 hex digits of the sha256 of both digests. */
export function releaseId(digests: ReleaseDigests): string {
  return sha256(`bundle:${digests.bundle}\ncode:${digests.code}\n`).slice(0, 12)
}

export interface ReleaseDigests {
  /** The bundle id: sha256 of its `pybundle.json`, which holds the sha256 of all else in it. */
  bundle: Digest
  /** sha256 of the code archive's bytes. */
  code: Digest
}

export const digest = z.string('must be a sha256').regex(DIGEST_PATTERN, 'is not a sha256 of 64 hex digits')

/** An object at one version: an overwritten key changes nothing for who pinned it. */
export const pinnedObject = z.object({
  key: z.string(),
  versionId: z.string(),
  digest,
  size: z.number().int().nonnegative(),
})
export type PinnedObject = z.infer<typeof pinnedObject>

/** `releases/<id>.json`: what a target fetches to become this release. */
export const releaseRecord = z.object({
  format: z.literal(1),
  release: z.string().regex(RELEASE_ID_PATTERN),
  bundle: pinnedObject,
  code: pinnedObject,
  /** The commit (or working tree) that the code archive came from, as its publisher named it. */
  revision: z.string().optional(),
  /** The rollout whose migration for this release changed the database. */
  migratedBy: z.string().optional(),
})
export type ReleaseRecord = z.infer<typeof releaseRecord>
