import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, vi } from 'vitest'
import { planBundle, provideBundle } from '../../lib/bundle/provide.ts'
import { type PackageOptions, writePackage } from './local-package.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** Gives the tests of a file a cache of their own, and takes away every index that this machine has. */
export function useLaptop(): void {
  let cache: string
  beforeAll(() => {
    cache = mkdtempSync(join(tmpdir(), 'pybundle-cache-'))
  })
  beforeEach(() => {
    vi.unstubAllEnvs()
    for (const name of Object.keys(process.env)) if (name.startsWith('PIP_')) vi.stubEnv(name, undefined)
    vi.stubEnv('PIP_CONFIG_FILE', '/dev/null')
    vi.stubEnv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple')
    vi.stubEnv('PIP_RETRIES', '0')
    vi.stubEnv('PYBUNDLE_RESOLVER', 'pip')
    vi.stubEnv('XDG_CACHE_HOME', cache)
  })
  afterAll(() => {
    vi.unstubAllEnvs()
    rmSync(cache, { recursive: true, force: true })
  })
}

export interface AppOptions {
  requirements: string
  /** Below `vendor/`. */
  vendor?: readonly PackageOptions[]
}

export function writeApp({ requirements, vendor = [] }: AppOptions): string {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'requirements.txt'), requirements)
  for (const options of vendor) {
    mkdirSync(join(folder, 'vendor', options.name), { recursive: true })
    writePackage(join(folder, 'vendor', options.name), options)
  }
  return folder
}

export async function makeBundle(folder: string, platform = 'this-machine', python?: string) {
  const news: string[] = []
  const plan = await planBundle({ folder, requirements: 'requirements.txt', platform, python })
  const bundle = await provideBundle(plan, { report: (line) => news.push(line) })
  const wheels = Object.keys(bundle.manifest.members).filter((name) => name.startsWith('wheels/'))
  return { ...bundle, news, wheels: wheels.map((name) => name.slice('wheels/'.length)) }
}
