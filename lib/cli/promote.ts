import { randomUUID } from 'node:crypto'
import { DIGEST_METADATA, REQUEST_METADATA } from '../release/artifact-metadata.ts'
import { type AppScope, type ArtifactKind, parseUploadKey, releaseKey } from '../release/keys.ts'
import { type PinnedObject, type ReleaseRecord, releaseRecord } from '../release/release.ts'
import { requestId } from '../release/request-id.ts'
import { servedBy } from '../release/state.ts'
import { UserError } from '../user-error.ts'
import { readAppState, refuseWhenFrozen } from './app-state.ts'
import type { Artifact } from './artifacts.ts'
import { type AppOptions, type OpenedApp, openApp } from './open-app.ts'
import { askFor } from './request.ts'
import { refuseMissingKey, requireSigned } from './sign-release.ts'
import { step } from './steps.ts'
import { isStored } from './stored-artifact.ts'

export interface PromoteOptions extends Omit<AppOptions, 'environment'> {
  from: string
  to: string
  detach?: boolean | undefined
}

/** Asks the next environment for exactly the bytes that run in this one. */
export async function promote(options: PromoteOptions): Promise<number> {
  if (options.from === options.to) throw new UserError(`--from and --to both name "${options.to}".`)
  const from = openApp({ ...options, environment: options.from })
  const to = openApp({ ...options, environment: options.to })
  refuseMissingKey(to)
  await refuseWhenFrozen(to)
  const { release, revision, ...running } = await currentRelease(from)
  refuseForeignKey('bundle', running.bundle.key, from)
  refuseForeignKey('code', running.code.key, from)
  const id = requestId(new Date(), randomUUID())
  const artifacts = await step(`Copying release ${release} to ${options.to}`, async ({ result }) => {
    const bundle = await bring(running.bundle, from, to, id)
    const code = await bring(running.code, from, to, id)
    result(`Release ${release} of ${options.from} is in the bucket of ${options.to}`)
    return { bundle, code }
  })
  return askFor(to, { id, ...artifacts, revision, from: options.from }, options)
}

async function currentRelease(app: OpenedApp): Promise<ReleaseRecord> {
  const { store, scope } = app
  const { current } = await readAppState(app)
  if (current) {
    const record = releaseRecord.parse(await store.readJson(releaseKey(scope, current.release)))
    await requireSigned(app, servedBy(record, current.request))
    return record
  }
  throw new UserError(
    `${scope.app} runs nothing in ${scope.environment} that could be promoted. Publish a release there first: pybundle publish-release --environment ${scope.environment}`,
  )
}

/** What is there already is not copied again; the functions hold it against its digest either way. */
async function bring(
  { key: source, versionId, digest }: PinnedObject,
  from: OpenedApp,
  to: OpenedApp,
  id: string,
): Promise<Artifact> {
  const key = source.replace(prefixOf(from.scope), prefixOf(to.scope))
  const metadata = { [REQUEST_METADATA]: id, [DIGEST_METADATA]: digest }
  if (!(await isStored(to.store, { key, digest }))) {
    await to.store.transfer({ from: from.store, object: { key: source, versionId }, key, metadata })
  }
  return { key, digest }
}

/** The record that names it lies in the other environment's bucket: it does not choose where something is written in this one's. */
function refuseForeignKey(kind: ArtifactKind, key: string, { scope }: OpenedApp): void {
  const upload = parseUploadKey(key)
  if (upload?.kind === kind && key.startsWith(prefixOf(scope))) return
  throw new UserError(
    `The current release of ${scope.environment} has "${key}" for its ${kind}, which is none of ${scope.app} there: who wrote that record? Publish to ${scope.environment} anew, then promote that.`,
  )
}

const prefixOf = ({ environment, app }: AppScope) => `${environment}/${app}/`
