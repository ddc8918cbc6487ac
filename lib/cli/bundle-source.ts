import { stat } from 'node:fs/promises'
import { readLegacy } from '../bundle/legacy.ts'
import { planFromLegacy } from '../bundle/legacy-plan.ts'
import { type BundlePlan, type BundleWish, planBundle } from '../bundle/provide.ts'
import { readBundle } from '../bundle/read.ts'
import { bundleKey } from '../release/keys.ts'
import { type Artifact, makeBundle } from './artifacts.ts'
import { bundlePath } from './inspect.ts'
import type { OpenedApp } from './open-app.ts'

export interface BundleSource {
  /** A bundle that is there already: one of format 1 is converted, another is taken as it is. */
  from?: string | undefined
  upgrade?: boolean | undefined
}

/** Finds out what the bundle is made from; making it is left to what is returned, which is given a temporary folder. */
export async function bundleSupplier(
  { config, scope }: OpenedApp,
  source: BundleSource,
): Promise<(folder: string) => Promise<Artifact>> {
  const { from } = source
  const given = from === undefined ? undefined : bundlePath(from)
  if (!given || (await readLegacy(given))) {
    const plan = given ? undefined : await planBundle(config)
    return async (folder) => makeBundle(scope, plan ?? (await planFrom(config, source, folder)), source)
  }
  const { digest } = await readBundle(given)
  const artifact = {
    key: bundleKey(scope, digest),
    digest,
    local: { file: given, size: (await stat(given)).size },
  }
  return async () => artifact
}

export async function planFrom(
  wish: BundleWish,
  { from }: BundleSource,
  folder: string,
): Promise<BundlePlan> {
  return from === undefined ? planBundle(wish) : planFromLegacy(bundlePath(from), wish, folder)
}
