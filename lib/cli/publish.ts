import { randomUUID } from 'node:crypto'
import type { ArtifactKind } from '../release/keys.ts'
import { requestId } from '../release/request-id.ts'
import { servedBy } from '../release/state.ts'
import { withTemporaryFolder } from '../temporary.ts'
import { refuseWhenFrozen } from './app-state.ts'
import type { Artifact } from './artifacts.ts'
import { bundleSupplier } from './bundle-source.ts'
import { codeSupplier } from './code-source.ts'
import { desiredRelease } from './desired-release.ts'
import { type AppOptions, type OpenedApp, openApp } from './open-app.ts'
import { askFor } from './request.ts'
import { refuseMissingKey, requireSigned } from './sign-release.ts'
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
  /** A bundle, or a code archive, that is there already. */
  from?: string | undefined
}

/** Makes, uploads, asks, follows. What is not published is taken from what the environment is to run. */
export async function publish(kinds: readonly ArtifactKind[], options: PublishOptions): Promise<number> {
  const app = openApp(options)
  refuseMissingKey(app)
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
  const { store, scope } = app
  const bundle = kinds.includes('bundle') ? await bundleSupplier(app, options) : undefined
  const code = kinds.includes('code') ? await codeSupplier(app, options) : undefined
  if (bundle && code) return { bundle, code: code.make, revision: code.revision }
  const desired = await desiredRelease(store, scope)
  await requireSigned(app, servedBy(desired, desired.request))
  return {
    bundle: bundle ?? (async () => desired.bundle),
    code: code?.make ?? (async () => desired.code),
    revision: code?.revision ?? desired.revision,
  }
}
