import { once } from 'node:events'
import { open, readFile, rename } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ZipArchive } from 'archiver'
import { type Digest, sha256 } from '../release/digest.ts'
import { removeAfter } from '../temporary.ts'
import type { VcsRecord } from './build/vcs.ts'
import { formatPylock, formatRequirements, type LockedWheel } from './lock-files.ts'
import { BUNDLE_FORMAT, type BundleManifest, bundleId, formatManifest, MANIFEST_NAME } from './manifest.ts'
import type { Platform } from './platform.ts'
import { parseWheelName } from './wheel.ts'

export interface BundleParts {
  platform: Platform
  roots: string[]
  /** Files. */
  wheels: string[]
  /** The file of a pip that runs on the platform's Python. */
  pip: string
  /** By package. */
  vcs?: Record<string, VcsRecord>
}

/** Writes a `.pybundle` of format 2 whole or not at all; the same parts give the same bytes. */
export async function packBundle(parts: BundleParts, file: string): Promise<Digest> {
  const temporary = `${file}.${process.pid}.part`
  return removeAfter(temporary, async () => {
    const archive = new ZipArchive({ store: true })
    const output = (await open(temporary, 'w')).createWriteStream()
    const [id] = await Promise.all([fill(archive, parts), pipeline(archive, output)])
    await rename(temporary, file)
    return id
  })
}

async function fill(archive: ZipArchive, parts: BundleParts): Promise<Digest> {
  try {
    const id = await addMembers(archive, parts)
    await archive.finalize()
    return id
  } catch (error) {
    archive.destroy(error as Error)
    throw error
  }
}

async function addMembers(
  archive: ZipArchive,
  { platform, roots, wheels, pip, vcs = {} }: BundleParts,
): Promise<Digest> {
  const members: BundleManifest['members'] = {}
  const add = async (name: string, content: Buffer) => {
    members[name] = { sha256: sha256(content), size: content.length }
    await append(archive, name, content)
    return members[name]
  }
  const locked: LockedWheel[] = []
  for (const wheel of [...wheels].sort(byName)) {
    const name = basename(wheel)
    const parsed = parseWheelName(name)
    if (!parsed) throw new Error(`not a wheel: ${wheel}`)
    const member = await add(`wheels/${name}`, await readFile(wheel))
    locked.push({ file: name, name: parsed.name, version: parsed.version, ...member })
  }
  await add(`tools/${basename(pip)}`, await readFile(pip))
  await add('requirements.txt', Buffer.from(formatRequirements(locked)))
  await add('pylock.toml', Buffer.from(formatPylock(locked, platform.python)))
  const manifest = formatManifest({
    format: BUNDLE_FORMAT,
    platform,
    roots: [...roots].sort(),
    vcs,
    members,
  })
  await append(archive, MANIFEST_NAME, Buffer.from(manifest))
  return bundleId(manifest)
}

/** What a zip's oldest date can be, in the same bytes everywhere. */
const DATE = new Date('1980-01-01T00:00:00Z')

/** One member at a time, as a buffer: a stream's size would follow its bytes, which not every reader bears. */
async function append(archive: ZipArchive, name: string, content: Buffer): Promise<void> {
  const added = once(archive, 'entry')
  archive.append(content, { name, date: DATE, mode: 0o644 })
  await added
}

function byName(a: string, b: string): number {
  return basename(a) < basename(b) ? -1 : 1
}
