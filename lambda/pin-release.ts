import type { ObjectStore } from '../lib/aws/object-store.ts'
import { type AppScope, type ArtifactKind, parseUploadKey, releaseKey } from '../lib/release/keys.ts'
import { type ReleaseRecord, releaseId, releaseRecord } from '../lib/release/release.ts'
import type { DeployRequest } from '../lib/release/request.ts'
import { UserError } from '../lib/user-error.ts'
import { pinArtifact } from './artifact-check.ts'
import { readState } from './state-store.ts'

/** The release that a request asks for, held to the versions and digests that its artifacts have now. */
export async function pinRelease(store: ObjectStore, request: DeployRequest): Promise<ReleaseRecord> {
  const [bundle, code] = [await pin(store, request, 'bundle'), await pin(store, request, 'code')]
  const release = releaseId({ bundle: bundle.digest, code: code.digest })
  return { format: 1, release, bundle, code, ...(request.revision && { revision: request.revision }) }
}

async function pin(store: ObjectStore, request: DeployRequest, kind: 'bundle' | 'code') {
  const asked = request[kind]
  const lies = parseUploadKey(asked.key)
  if (lies?.kind !== kind || lies.environment !== request.environment || lies.app !== request.app)
    throw new UserError(`"${asked.key}" is no ${kind} of ${request.app} in ${request.environment}.`)
  const pinned = await pinArtifact(store, kind, await locate(store, request, asked.key, kind))
  if (pinned.digest === asked.digest) return pinned
  throw new UserError(
    `${kind} "${asked.key}" has the digest ${pinned.digest}, but the request asks for ${asked.digest}: it was overwritten since. Publish again.`,
  )
}

/** The newest version; where a release was taken back after its key had expired, the one that it is made of. */
async function locate(store: ObjectStore, scope: AppScope, key: string, kind: ArtifactKind) {
  if (await store.head(key)) return { key }
  const { desired } = (await readState(store, scope)).state
  const record = desired && (await store.readJson(releaseKey(scope, desired.release)))
  const pinned = record ? releaseRecord.parse(record)[kind] : undefined
  return pinned?.key === key ? { key, versionId: pinned.versionId } : { key }
}
