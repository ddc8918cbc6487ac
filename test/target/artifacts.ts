import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { gzipSync } from 'node:zlib'
import { ZipArchive } from 'archiver'
import { type Header, pack } from 'tar-stream'
import { packBundle } from '../../lib/bundle/pack.ts'
import type { Platform } from '../../lib/bundle/platform.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { releaseKey } from '../../lib/release/keys.ts'
import { type ReleaseDigests, releaseId } from '../../lib/release/release.ts'
import type { BucketAndMetadata } from './bucket-and-metadata.ts'
import { thisPython } from './this-python.ts'

const DATE = new Date('1980-01-01T00:00:00Z')

export interface Wheel {
  name: string
  version: string
  files?: Record<string, string>
  requires?: string[]
  /** Whose files somebody may execute. */
  executable?: string[]
  /** Root-Is-Purelib. */
  pure?: boolean
}

/** Writes a wheel: a zip of the package and its metadata. */
export async function writeWheel(
  folder: string,
  { name, version, files, requires = [], executable = [], pure = true }: Wheel,
): Promise<string> {
  const info = `${name}-${version}.dist-info`
  const members: Record<string, string> = {
    ...(files ?? { [`${name}/__init__.py`]: `VERSION = "${version}"\n` }),
    [`${info}/METADATA`]: [
      'Metadata-Version: 2.1',
      `Name: ${name}`,
      `Version: ${version}`,
      ...requires.map((one) => `Requires-Dist: ${one}`),
      '',
    ].join('\n'),
    [`${info}/WHEEL`]: `Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: ${pure}\nTag: py3-none-any\n`,
  }
  members[`${info}/RECORD`] ??= [...Object.entries(members).map(recordRow), `${info}/RECORD,,`, ''].join('\n')
  const file = join(folder, `${name}-${version}-py3-none-any.whl`)
  const archive = new ZipArchive({ store: true })
  for (const [member, content] of Object.entries(members)) {
    const mode = executable.includes(member) ? 0o755 : 0o644
    archive.append(content, { name: member, date: DATE, mode })
  }
  const output = createWriteStream(file)
  archive.pipe(output)
  await Promise.all([archive.finalize(), finished(output)])
  return file
}

function recordRow([name, content]: [string, string]): string {
  const digest = createHash('sha256').update(content).digest('base64url')
  return `"${name.replaceAll('"', '""')}",sha256=${digest},${Buffer.byteLength(content)}`
}

export type Entry = Partial<Header> & { name: string; content?: string }

/** A `.tar.gz` of what is asked for, however hostile. */
export async function tarGz(entries: Entry[]): Promise<Buffer> {
  const archive = pack()
  for (const { content, ...header } of entries) archive.entry({ ...header }, content ?? '')
  archive.finalize()
  return gzipSync(await buffer(archive))
}

export function filesAsTarGz(files: Record<string, string>): Promise<Buffer> {
  return tarGz(Object.entries(files).map(([name, content]) => ({ name, content })))
}

export interface ReleaseParts {
  code: Buffer
  wheels?: Wheel[]
  /** Files of wheels that are there already, in the place of `wheels`. */
  wheelFiles?: string[]
  /** The file of another pip than this Python's own. */
  pip?: string
  platform?: Partial<Platform>
}

export interface PublishedRelease {
  id: string
  digests: ReleaseDigests
}

export const SCOPE = { environment: 'staging', app: 'guestbook' }

/** Puts a real bundle, the code and their release record where a target looks for them. */
export async function publishRelease(
  bucket: BucketAndMetadata,
  folder: string,
  { code, wheels = [{ name: 'alpha', version: '1.0' }], wheelFiles, pip, platform }: ReleaseParts,
): Promise<PublishedRelease> {
  await mkdir(folder, { recursive: true })
  const python = await thisPython()
  const file = join(folder, `${sha256(JSON.stringify([wheelFiles ?? wheels, pip, platform]))}.pybundle`)
  const bundle = await packBundle(
    {
      platform: { ...python.platform, ...platform },
      roots: [],
      wheels: wheelFiles ?? (await Promise.all(wheels.map((wheel) => writeWheel(folder, wheel)))),
      pip: pip ?? python.pip,
    },
    file,
  )
  const digests = { bundle, code: sha256(code) }
  const id = releaseId(digests)
  const record = {
    format: 1,
    release: id,
    bundle: { ...bucket.put('staging/guestbook/bundles/a.pybundle', await readFile(file)), digest: bundle },
    code: { ...bucket.put('staging/guestbook/code/a.tar.gz', code), digest: digests.code },
    revision: 'abc',
  }
  bucket.put(releaseKey(SCOPE, id), JSON.stringify(record))
  return { id, digests }
}
