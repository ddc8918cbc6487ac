import { join } from 'node:path'
import { type BundlePlan, type MadeBundle, provideBundle } from '../bundle/provide.ts'
import { archiveRevision } from '../code/archive.ts'
import type { Revision } from '../code/revision.ts'
import { type AppScope, bundleKey, codeKey } from '../release/keys.ts'
import type { OpenedApp } from './open-app.ts'
import { step } from './steps.ts'

/** One half of a release. */
export interface Artifact {
  key: string
  digest: string
  /** Where it is, when it comes from here. */
  local?: { file: string; size: number }
}

export async function makeBundle(
  scope: AppScope,
  plan: BundlePlan,
  { upgrade }: { upgrade?: boolean | undefined },
): Promise<Artifact> {
  return step('Bundle: looking for changes', async ({ news, result }) => {
    const made = await provideBundle(plan, { upgrade, report: news })
    const { digest, file, size } = made
    result(describeMade(made))
    return { key: bundleKey(scope, digest), digest, local: { file, size } }
  })
}

export function describeMade({ digest, size, isReused, why, manifest }: MadeBundle): string {
  const wheels = Object.keys(manifest.members).filter((name) => name.startsWith('wheels/')).length
  const what = `bundle ${digest.slice(0, 12)} (${wheels} wheels, ${formatSize(size)})`
  return `${isReused ? 'Reusing' : 'Made'} ${what}: ${why}`
}

export async function makeCode(
  { scope, config }: OpenedApp,
  revision: Revision,
  folder: string,
): Promise<Artifact> {
  return step(`Code: archiving revision ${revision.name}`, async ({ result }) => {
    const { exclude, includeSecrets, file: configuration } = config
    const options = { exclude, includeSecrets, configuration }
    const { file, digest, size, files } = await archiveRevision(
      revision,
      join(folder, 'code.tar.gz'),
      options,
    )
    const key = codeKey(scope, `${revision.name}-${digest.slice(0, 12)}`)
    result(`Archived revision ${revision.name} (${files} files, ${formatSize(size)})`)
    return { key, digest, local: { file, size } }
  })
}

export function formatSize(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}
