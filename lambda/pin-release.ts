import type { ObjectStore } from '../lib/aws/object-store.ts'
import { parseUploadKey } from '../lib/release/keys.ts'
import { type ReleaseRecord, releaseId } from '../lib/release/release.ts'
import type { DeployRequest } from '../lib/release/request.ts'
import { UserError } from '../lib/user-error.ts'
import { pinArtifact } from './artifact-check.ts'

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
  const pinned = await pinArtifact(store, kind, { key: asked.key })
  if (pinned.digest === asked.digest) return pinned
  throw new UserError(
    `${kind} "${asked.key}" has the digest ${pinned.digest}, but the request asks for ${asked.digest}: it was overwritten since. Publish again.`,
  )
}
