import { inspectBundle } from '../bundle/inspect.ts'
import { readLegacy } from '../bundle/legacy/legacy.ts'
import { planFromLegacy } from '../bundle/legacy/legacy-plan.ts'
import { type BundlePlan, type BundleWish, planBundle } from '../bundle/provide.ts'
import { type AppScope, bundleKey } from '../release/keys.ts'
import { UserError } from '../user-error.ts'
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
  const artifact = await verifyGiven(scope, given)
  return async () => artifact
}

/** Whoever made it: what would be refused in a bundle that is made here is refused in it. */
async function verifyGiven(scope: AppScope, file: string): Promise<Artifact> {
  const { digest, size, problems } = await inspectBundle(file)
  if (problems.length === 0) return { key: bundleKey(scope, digest), digest, local: { file, size } }
  throw new UserError([`${file} would not work:`, ...problems.map((problem) => `- ${problem}`)].join('\n'))
}

export async function planFrom(
  wish: BundleWish,
  { from }: BundleSource,
  folder: string,
): Promise<BundlePlan> {
  return from === undefined ? planBundle(wish) : planFromLegacy(bundlePath(from), wish, folder)
}
