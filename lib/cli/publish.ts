import { randomUUID } from 'node:crypto'
import { readRevision } from '../code/revision.ts'
import type { ArtifactKind } from '../release/keys.ts'
import { requestId } from '../release/request.ts'
import { withTemporaryFolder } from '../temporary.ts'
import { refuseWhenFrozen } from './app-state.ts'
import { type Artifact, makeCode } from './artifacts.ts'
import { bundleSupplier } from './bundle-source.ts'
import { desiredRelease } from './desired-release.ts'
import { type AppOptions, type OpenedApp, openApp } from './open-app.ts'
import { askFor } from './request.ts'
import { step } from './steps.ts'
import { uploadArtifact } from './upload.ts'

export interface PublishOptions extends AppOptions {
  /** Ask for the rollout, and leave. */
  detach?: boolean | undefined
  /** Take the working tree as it is. */
  dirty?: boolean | undefined
  /** A commit, tag or branch instead of what is checked out. */
  revision?: string | undefined
  /** Ask the package index again. */
  upgrade?: boolean | undefined
  /** A bundle that is there already. */
  from?: string | undefined
}

/** Makes, uploads, asks, follows. What is not published is taken from what the environment is to run. */
export async function publish(kinds: readonly ArtifactKind[], options: PublishOptions): Promise<number> {
  const app = openApp(options)
  await refuseWhenFrozen(app)
  const suppliers = await step('Checking', () => checkAll(app, kinds, options))
  return withTemporaryFolder(async (folder) => {
    const bundle = await suppliers.bundle(folder)
    const code = await suppliers.code(folder)
    const id = requestId(new Date(), randomUUID())
    await uploadArtifact(app.store, bundle, id)
    await uploadArtifact(app.store, code, id)
    return askFor(app, { id, bundle, code, revision: suppliers.revision }, options)
  })
}

interface Suppliers {
  bundle: (folder: string) => Promise<Artifact>
  code: (folder: string) => Promise<Artifact>
  revision: string | undefined
}

/** Finds whatever could be missing before anything is made or uploaded. */
async function checkAll(
  app: OpenedApp,
  kinds: readonly ArtifactKind[],
  options: PublishOptions,
): Promise<Suppliers> {
  const { config, store, scope } = app
  const bundle = kinds.includes('bundle') ? await bundleSupplier(app, options) : undefined
  const revision = kinds.includes('code')
    ? await readRevision(config.folder, { dirty: options.dirty, revision: options.revision })
    : undefined
  const code = revision && ((folder: string) => makeCode(app, revision, folder))
  if (bundle && code) return { bundle, code, revision: revision.name }
  const desired = await desiredRelease(store, scope)
  return {
    bundle: bundle ?? (async () => desired.bundle),
    code: code ?? (async () => desired.code),
    revision: revision?.name ?? desired.revision,
  }
}
