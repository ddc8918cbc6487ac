import type { ObjectStore } from '../lib/aws/object-store.ts'
import type { RolloutEvents } from '../lib/aws/rollout-events.ts'
import { BUNDLE_METADATA, REQUEST_METADATA } from '../lib/release/artifact-metadata.ts'
import {
  type ArtifactKind,
  bundleKey,
  releaseKey,
  requestKey,
  rolloutKey,
  stateKey,
} from '../lib/release/keys.ts'
import { closedRecord } from '../lib/release/record.ts'
import { type PinnedObject, releaseId, releaseRecord } from '../lib/release/release.ts'
import type { Request } from '../lib/release/request.ts'
import { requestId } from '../lib/release/request-id.ts'
import { aboutRollout, endEvent } from '../lib/release/rollout-event.ts'
import { state } from '../lib/release/state.ts'
import { UserError } from '../lib/user-error.ts'
import { pinArtifact } from './artifact-check.ts'
import type { Log } from './function-log.ts'
import { refuseDrop, type SigningPolicy } from './signed-request.ts'
import type { UploadedObject } from './storage-event.ts'

type Drop = UploadedObject & { kind: ArtifactKind }

/**
 * Writes the request for an artifact that was dropped into the bucket by hand: dropped code takes the
 * desired release's bundle unless it names one, a dropped bundle the desired release's code. The id comes
 * from the object's version, so that a doubled event asks once.
 */
export async function requestForDrop(
  { store, events, log }: { store: ObjectStore; events: RolloutEvents; log: Log },
  upload: UploadedObject,
  { isSigned }: SigningPolicy,
): Promise<void> {
  if (upload.kind === 'request') return
  const object = await store.head(upload.key, upload.versionId)
  if (!object || object.metadata[REQUEST_METADATA]) return
  const drop: Drop = { ...upload, kind: upload.kind }
  const asked = {
    id: requestId(object.lastModified, `${upload.key}\n${object.versionId}`),
    environment: upload.environment,
    app: upload.app,
    requestedBy: `upload of ${upload.key}`,
  }
  try {
    if (isSigned) refuseDrop(upload)
    const artifacts = await complete(store, drop, object.metadata[BUNDLE_METADATA])
    const request: Request = {
      ...asked,
      ...artifacts,
      format: 1,
      action: 'deploy',
      requestedAt: object.lastModified.toISOString(),
    }
    await store.createOnly(requestKey(upload, asked.id), JSON.stringify(request, null, 1))
    log.info('A file that was dropped by hand asks for a deploy.', { request: asked.id, key: upload.key })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    log.info('A file that was dropped by hand was refused.', { request: asked.id, reason: error.message })
    const record = closedRecord(asked, 'refused', error.message, object.lastModified.toISOString())
    const isFirst = await store.createOnly(rolloutKey(upload, asked.id), JSON.stringify(record, null, 1))
    if (isFirst) await events.tell(endEvent(aboutRollout(record), 'refused', record))
  }
}

async function complete(store: ObjectStore, drop: Drop, named: string | undefined) {
  const dropped = await pinArtifact(store, drop.kind, drop)
  if (drop.kind === 'bundle') return { bundle: dropped, code: await desired(store, drop, 'code') }
  const bundle = named ? { key: bundleKey(drop, named), digest: named } : await desired(store, drop, 'bundle')
  return { bundle, code: dropped, revision: drop.name }
}

async function desired(store: ObjectStore, drop: Drop, wanted: ArtifactKind): Promise<PinnedObject> {
  const wants = state.safeParse(await store.readJson(stateKey(drop))).data?.desired
  const record = wants && (await store.readJson(releaseKey(drop, releaseId(wants))))
  if (!record) {
    const message = `"${drop.key}" was dropped by hand, but ${drop.environment} has no release yet to take its ${wanted} from.`
    throw new UserError(
      `${message} Publish one first: npm run publish-release -- --environment ${drop.environment}`,
    )
  }
  return releaseRecord.parse(record)[wanted]
}
