import { basename } from 'node:path'
import type { Digest } from '../release/digest.ts'
import { findPython } from './find-python.ts'
import type { Platform } from './platform.ts'
import { useBundle } from './read.ts'
import type { OpenBundle } from './read-manifest.ts'
import { partOf, type RangeSource } from './read-ranges.ts'
import { readWheelFrom, type WheelContents } from './verify/read-wheel.ts'
import { problemsOf } from './verify/verify.ts'
import { NativeFiles } from './verify/verify-natives.ts'
import { resolveNeeds } from './verify/verify-needs.ts'
import { whyUnfit } from './wheel.ts'

/** What a bundle of format 2 is, for people and programs to look at. */
export interface BundleDescription {
  format: 2
  digest: Digest
  size: number
  platform: Platform
  /** The pip in it. */
  pip: string | null
  packages: BundledPackage[]
  /** What whoever made it did not see: it would not have been published from here. */
  problems: string[]
}

export interface BundledPackage {
  name: string
  version: string
  /** The wheel. */
  file: string
  size: number
  /** Whether the requirements name it themselves. */
  isRoot: boolean
  /** Who needs it, with what words; empty where only the requirements do, or an extra that they name. */
  neededBy: { name: string; requirement: string }[]
  /** The commit and whatever else is recorded of one that came from a repository. */
  vcs?: unknown
}

/** Opens, verifies and describes a bundle. */
export async function inspectBundle(file: string): Promise<BundleDescription> {
  return useBundle(file, async (bundle, source) => {
    const { digest, manifest } = bundle
    const { platform, roots: asked } = manifest
    const wheels = await readWheels(bundle, source)
    const answer = await resolveNeeds({ wheels, asked, platform, python: await findPython() })
    const { needs } = answer
    const roots = new Set(needs.flatMap(({ by, name }) => (by === null ? [name] : [])))
    const neededBy = Map.groupBy(needs, ({ name }) => name)
    const packages = wheels.map(({ file, name, version }) => ({
      name,
      version,
      file,
      size: manifest.members[`wheels/${file}`]?.size ?? 0,
      isRoot: roots.has(name),
      neededBy: (neededBy.get(name) ?? []).flatMap(({ by, requirement }) =>
        by === null ? [] : [{ name: by, requirement }],
      ),
      ...(manifest.vcs[name] ? { vcs: manifest.vcs[name] } : {}),
    }))
    const unfit = wheels.flatMap(({ file }) => whyUnfit(file, platform) ?? [])
    const problems = [...unfit, ...problemsOf(wheels, answer)]
    return { format: 2, digest, size: source.size, platform, pip: pipOf(bundle), packages, problems }
  })
}

async function readWheels(
  { manifest, zip, entries }: OpenBundle,
  source: RangeSource,
): Promise<WheelContents[]> {
  const wheels: WheelContents[] = []
  for (const name of Object.keys(manifest.members).filter((name) => name.startsWith('wheels/'))) {
    const entry = entries.get(name)
    if (!entry) continue
    // It is stored as it is: what a bundle holds can be read in place.
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true })
    const part = partOf(source, fileDataStart, entry.uncompressedSize)
    const natives = new NativeFiles(name, manifest.platform)
    const wheel = await readWheelFrom(part, basename(name), (...file) => natives.visit(...file))
    wheels.push({ ...wheel, mistakes: [...wheel.mistakes, ...natives.mistakes] })
  }
  return wheels.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function pipOf({ manifest }: OpenBundle): string | null {
  const tool = Object.keys(manifest.members).find((name) => name.startsWith('tools/pip-'))
  return tool?.match(/pip-([^-]+)/)?.[1] ?? null
}
