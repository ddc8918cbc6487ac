import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import type { Python } from '../lib/bundle/find-python.ts'
import { inspectBundle } from '../lib/bundle/inspect.ts'
import { type MadeBundle, planBundle, provideBundle } from '../lib/bundle/provide.ts'
import { UserError } from '../lib/user-error.ts'
import { installBundle, interpreterFor } from './install-bundle.ts'
import type { BenchPlatform, DependencySet } from './sets.ts'

/** One row: a set for a platform, as far as it came. */
export interface Measured {
  set: string
  platform: BenchPlatform
  isResolved: boolean
  isVerified: boolean
  isInstalled: boolean
  /** Why it came no further. */
  why?: string
  wheels?: string[]
  bytes?: number
  bundleId?: string
  /** Whether asking the index again gave the same bundle. */
  isSameAgain?: boolean
  firstSeconds?: number
  againSeconds?: number
  reusedSeconds?: number
  installSeconds?: number
  /** Whether there was no network at all when it was installed, beside no index. */
  isCutOff?: boolean
  /** What was told on the way, the first time. */
  news: string[]
}

/** Makes the bundle with nothing cached, with the downloads cached, and not at all; then installs it, if it runs here. */
export async function measureSet(
  set: DependencySet,
  platform: BenchPlatform,
  laptop: Python,
): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'pybundle-bench-'))
  process.env.XDG_CACHE_HOME = join(folder, 'cache')
  const row: Measured = {
    ...{ set: set.name, platform, isResolved: false, isVerified: false, isInstalled: false },
    news: [],
  }
  try {
    const bundle = await makeBundles(set, join(folder, 'app'), row)
    await install(bundle, set, laptop, join(folder, 'target'), row)
  } catch (error) {
    row.why = error instanceof UserError ? error.message : `failed: ${error}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return row
}

async function makeBundles(set: DependencySet, folder: string, row: Measured): Promise<MadeBundle> {
  mkdirSync(folder)
  writeFileSync(join(folder, 'requirements.txt'), `${set.requirements.join('\n')}\n`)
  const { name, python } = row.platform
  const wish = { folder, requirements: 'requirements.txt', platform: name, python }
  const make = async (upgrade: boolean, report: (line: string) => void) =>
    provideBundle(await planBundle(wish), { upgrade, report })

  const first = await timed(() =>
    make(false, (line) => {
      row.news.push(line)
      row.isResolved ||= line.startsWith('verifying')
    }),
  )
  describe(first.result, row)
  row.firstSeconds = first.seconds
  await verify(first.result, row)

  const again = await timed(() => make(true, () => {}))
  row.againSeconds = again.seconds
  row.isSameAgain = again.result.digest === first.result.digest

  const reused = await timed(() => make(false, () => {}))
  if (!reused.result.isReused) throw new Error(`made again: ${reused.result.why}`)
  row.reusedSeconds = reused.seconds
  return first.result
}

function describe({ manifest, size, digest }: MadeBundle, row: Measured): void {
  row.wheels = Object.keys(manifest.members).filter((name) => name.startsWith('wheels/'))
  row.bytes = size
  row.bundleId = digest
}

/** It was, before it was packed; what is said here is said of the file. */
async function verify({ file }: MadeBundle, row: Measured): Promise<void> {
  const { problems } = await inspectBundle(file)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  row.isVerified = true
}

async function install(
  { file, manifest }: MadeBundle,
  { proof }: DependencySet,
  laptop: Python,
  folder: string,
  row: Measured,
): Promise<void> {
  const found = interpreterFor(manifest.platform, laptop.platform)
  if ('why' in found) {
    row.why = found.why
    return
  }
  const { interpreter } = found
  const { result, seconds } = await timed(() => installBundle({ bundle: file, folder, interpreter, proof }))
  row.installSeconds = seconds
  row.isCutOff = result
  row.isInstalled = true
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; seconds: number }> {
  const start = performance.now()
  const result = await work()
  return { result, seconds: (performance.now() - start) / 1000 }
}
