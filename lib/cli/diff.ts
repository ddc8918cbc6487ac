import {
  type BundleDifference,
  type Contents,
  contentsOf,
  contentsOfLegacy,
  diffBundles,
  type PackageChange,
} from '../bundle/diff.ts'
import { readLegacy } from '../bundle/legacy/legacy.ts'
import { readBundle } from '../bundle/read.ts'
import { readManifest } from '../bundle/read-manifest.ts'
import type { Digest } from '../release/digest.ts'
import { releaseKey, stateKey } from '../release/keys.ts'
import { releaseRecord } from '../release/release.ts'
import { state } from '../release/state.ts'
import { UserError } from '../user-error.ts'
import { colorsOf } from './colors.ts'
import { bundlePath } from './inspect.ts'
import { type AppOptions, openApp } from './open-app.ts'
import { plainTable } from './plain-table.ts'

const colors = colorsOf(process.stdout)

export interface DiffOptions extends Omit<AppOptions, 'environment'> {
  /** Compare with what runs there. */
  environment?: string | undefined
}

/** What changes from one bundle to another, or from what runs in an environment to a bundle. */
export async function diff(files: readonly string[], options: DiffOptions): Promise<number> {
  const sides = await openSides(files, options)
  const difference = diffBundles(sides.from.contents, sides.to.contents)
  console.log(options.json ? JSON.stringify(asJson(sides, difference)) : renderDifference(sides, difference))
  return 0
}

interface Side {
  /** What it is called. */
  name: string
  /** Null for one of format 1, which has no id. */
  digest: Digest | null
  contents: Contents
}

interface Sides {
  from: Side
  to: Side
}

async function openSides(files: readonly string[], options: DiffOptions): Promise<Sides> {
  const { environment } = options
  const [first, second] = files
  if (environment && first && !second) {
    return { to: await openFile(first), from: await openEnvironment({ ...options, environment }) }
  }
  if (!environment && first && second) return { from: await openFile(first), to: await openFile(second) }
  throw new UserError(
    'name two bundles (pybundle diff OLD NEW), or one and an environment (pybundle diff NEW --environment staging)',
  )
}

async function openFile(file: string): Promise<Side> {
  const path = bundlePath(file)
  const legacy = await readLegacy(path)
  if (legacy) return { name: file, digest: null, contents: contentsOfLegacy(legacy) }
  const { digest, manifest } = await readBundle(path)
  return { name: file, digest, contents: contentsOf(manifest) }
}

/** Only the bundle's directory and its manifest are fetched. */
async function openEnvironment(options: AppOptions): Promise<Side> {
  const { store, scope } = openApp(options)
  const stored = await store.readJson(stateKey(scope))
  const current = stored ? state.parse(stored).current : undefined
  const found = current && (await store.readJson(releaseKey(scope, current.release)))
  if (!found) throw new UserError(`${scope.app} runs nothing in ${scope.environment} yet.`)
  const { key, versionId, size } = releaseRecord.parse(found).bundle
  const read = (start: number, end: number) => store.readRange(key, versionId, start, end)
  const { digest, manifest } = await readManifest({ size, read })
  return { name: scope.environment, digest, contents: contentsOf(manifest) }
}

function asJson({ from, to }: Sides, difference: BundleDifference) {
  return { from: from.digest, to: to.digest, ...difference }
}

function renderDifference({ from, to }: Sides, { platform, packages }: BundleDifference): string {
  const head = [
    `from  ${idOf(from)}  ${from.name}`,
    `to    ${idOf(to)}  ${to.name}`,
    ...(platform ? [colors.yellow(`platform: ${platform.from} -> ${platform.to}`)] : []),
  ]
  if (packages.length > 0) return [...head, '', changeTable(packages)].join('\n')
  const same = from.digest && from.digest === to.digest ? 'bundle' : 'packages'
  return [...head, '', `the same ${same}`].join('\n')
}

function idOf({ digest }: Side): string {
  return digest?.slice(0, 12) ?? 'format 1    '
}

const COLORS: Record<PackageChange['change'], (text: string) => string> = {
  added: colors.green,
  removed: colors.red,
  changed: colors.cyan,
  rebuilt: colors.yellow,
}

function changeTable(packages: readonly PackageChange[]): string {
  const table = plainTable(['package', 'from', 'to', 'change'])
  for (const { name, change, from, to } of packages) {
    table.push([name, from ?? '-', to ?? '-', COLORS[change](change)])
  }
  return table.toString()
}
