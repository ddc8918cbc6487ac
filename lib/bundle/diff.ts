import type { Digest } from '../release/digest.ts'
import type { LegacyBundle } from './legacy/legacy.ts'
import type { BundleManifest } from './manifest.ts'
import { describePlatform, type Platform } from './platform.ts'
import { normalizeName, parseWheelName } from './wheel.ts'

/** What there is to compare of a bundle of either format. */
export interface Contents {
  /** Sources are for none. */
  platform: Platform | null
  packages: Map<string, Bundled>
}

interface Bundled {
  version: string | null
  /** Of the wheel, where it is one. */
  sha256: Digest | null
}

export interface BundleDifference {
  /** Null where the platform is the same, or one of them has none. */
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
export function diffBundles(from: Contents, to: Contents): BundleDifference {
  const names = [...new Set([...from.packages.keys(), ...to.packages.keys()])].sort()
  return {
    platform: diffPlatforms(from.platform, to.platform),
    packages: names.flatMap((name) => changeOf(name, from.packages.get(name), to.packages.get(name)) ?? []),
  }
}

function diffPlatforms(before: Platform | null, after: Platform | null): BundleDifference['platform'] {
  if (!before || !after) return null
  const [from, to] = [describePlatform(before), describePlatform(after)]
  return from === to ? null : { from, to }
}

function changeOf(
  name: string,
  before: Bundled | undefined,
  after: Bundled | undefined,
): PackageChange | undefined {
  const versions = { name, from: before?.version ?? null, to: after?.version ?? null }
  if (!before) return { ...versions, change: 'added' }
  if (!after) return { ...versions, change: 'removed' }
  if (before.version !== after.version) return { ...versions, change: 'changed' }
  const isSame = before.sha256 === after.sha256 || !before.sha256 || !after.sha256
  return isSame ? undefined : { ...versions, change: 'rebuilt' }
}

export function contentsOf({ platform, members }: BundleManifest): Contents {
  const packages = new Map<string, Bundled>()
  for (const [member, { sha256 }] of Object.entries(members)) {
    const wheel = member.startsWith('wheels/') ? parseWheelName(member) : undefined
    if (wheel) packages.set(wheel.name, { version: wheel.version, sha256 })
  }
  return { platform, packages }
}

export function contentsOfLegacy({ packages }: LegacyBundle): Contents {
  const bundled = packages.map(
    ({ name, version }) => [normalizeName(name), { version, sha256: null }] as const,
  )
  return { platform: null, packages: new Map(bundled) }
}
