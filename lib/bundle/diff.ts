import type { Digest } from '../release/digest.ts'
import type { BundleManifest } from './manifest.ts'
import { describePlatform } from './platform.ts'
import { parseWheelName } from './wheel.ts'

export interface BundleDifference {
  /** Null where the platform is the same. */
  platform: { from: string; to: string } | null
  /** By name. */
  packages: PackageChange[]
}

export interface PackageChange {
  name: string
  change: 'added' | 'removed' | 'changed' | 'rebuilt'
  from: string | null
  to: string | null
}

/** What changes for who goes from one bundle to the other. */
export function diffBundles(from: BundleManifest, to: BundleManifest): BundleDifference {
  const [before, after] = [packagesOf(from), packagesOf(to)]
  const names = [...new Set([...before.keys(), ...after.keys()])].sort()
  const platforms = { from: describePlatform(from.platform), to: describePlatform(to.platform) }
  return {
    platform: platforms.from === platforms.to ? null : platforms,
    packages: names.flatMap((name) => changeOf(name, before.get(name), after.get(name)) ?? []),
  }
}

interface Bundled {
  version: string
  sha256: Digest
}

function changeOf(
  name: string,
  before: Bundled | undefined,
  after: Bundled | undefined,
): PackageChange | undefined {
  if (before?.sha256 === after?.sha256) return undefined
  const versions = { name, from: before?.version ?? null, to: after?.version ?? null }
  if (!before) return { ...versions, change: 'added' }
  if (!after) return { ...versions, change: 'removed' }
  return { ...versions, change: before.version === after.version ? 'rebuilt' : 'changed' }
}

function packagesOf({ members }: BundleManifest): Map<string, Bundled> {
  const packages = new Map<string, Bundled>()
  for (const [member, { sha256 }] of Object.entries(members)) {
    const wheel = member.startsWith('wheels/') ? parseWheelName(member) : undefined
    if (wheel) packages.set(wheel.name, { version: wheel.version, sha256 })
  }
  return packages
}
