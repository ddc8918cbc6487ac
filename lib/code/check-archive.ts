import { createHash } from 'node:crypto'
import { PassThrough, type Readable, Transform } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract, type Header } from 'tar-stream'
import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl'
import {
  archiveLimits,
  isLink,
  MemberNames,
  readEntries,
  readMember,
  refuseLinkOut,
  refuseSpecialBits,
} from '../archive-entries.ts'
import type { Digest } from '../release/digest.ts'
import { UserError } from '../user-error.ts'

export type CodeArchiveKind = 'tar.gz' | 'zip'

/** By its suffix; undefined for what is none. */
export function codeArchiveKind(name: string): CodeArchiveKind | undefined {
  return (['tar.gz', 'zip'] as const).find((kind) => name.endsWith(`.${kind}`))
}

/** Reads the stream to its end; its sha256, or a UserError when it is no archive of an app's files. */
export async function digestCodeArchive(stream: Readable, kind: CodeArchiveKind): Promise<Digest> {
  const hash = createHash('sha256')
  const content = new PassThrough()
  content.on('data', (chunk) => hash.update(chunk))
  await Promise.all([pipeline(stream, content), checkCodeArchive(content, kind)])
  return hash.digest('hex')
}

/** Reads the stream to its end; a UserError when that is no archive of an app's files. */
export async function checkCodeArchive(stream: Readable, kind: CodeArchiveKind): Promise<void> {
  try {
    const names = kind === 'zip' ? await zipNames(stream) : await tarNames(stream)
    refuseForeign(names)
  } catch (error) {
    stream.resume()
    throw error
  }
}

const CONFIGURATIONS = ['pyproject.toml', 'pybundle.toml']

function refuseForeign(names: readonly string[]): void {
  if (names.length === 0) throw new UserError('not a code archive: it holds no file.')
  if (names.some((name) => CONFIGURATIONS.includes(name))) return
  const inside = names.find((name) => CONFIGURATIONS.some((file) => name.endsWith(`/${file}`)))
  const hint = inside ? ` It has "${inside}": pack the files of that folder, without the folder.` : ''
  throw new UserError(`not a code archive: no pyproject.toml or pybundle.toml at its root.${hint}`)
}

async function tarNames(stream: Readable): Promise<string[]> {
  const names: string[] = []
  const entries = extract()
  const members = new MemberNames()
  entries.on('entry', (header, content, next) => {
    // The pipeline fails with the same error; here it would end the process.
    content.on('error', () => {})
    try {
      const name = header.name.replace(/^(\.\/)+/, '')
      if (name && name !== '.') members.add(nameOf(header, name), header.size ?? 0)
      refuseTarKind(header, name)
      names.push(name)
    } catch (error) {
      entries.destroy(error as Error)
      return
    }
    content.on('end', next).resume()
  })
  const copy = stream.pipe(new PassThrough())
  stream.once('error', (error) => copy.destroy(error))
  try {
    await pipeline(copy, createGunzip(), limitBytes(), entries)
  } catch (error) {
    if (stream.errored) throw stream.errored
    if (error instanceof UserError)
      throw new UserError(`not a code archive: ${error.message}.`, { cause: error })
    throw new UserError(`not a .tar.gz: ${tarComplaint(error as Error)}.`, { cause: error })
  }
  return names
}

function nameOf({ type }: Header, name: string): string {
  return type === 'directory' && !name.endsWith('/') ? `${name}/` : name
}

const TAR_KINDS: readonly unknown[] = ['file', 'directory', 'symlink']

function refuseTarKind({ type, mode, linkname }: Header, name: string): void {
  if (type === 'link')
    throw new UserError(`"${name}" is a hard link: with tar --hard-dereference it is packed as a file`)
  if (!TAR_KINDS.includes(type))
    throw new UserError(`"${name}" is neither a file, a folder nor a symbolic link`)
  if (type === 'symlink') refuseLinkOut(name, linkname ?? '')
  if (type === 'file') refuseSpecialBits(name, mode ?? 0)
}

/** Of what really comes out, whatever the headers say. */
function limitBytes(): Transform {
  const { bytes } = archiveLimits()
  let left = bytes
  return new Transform({
    transform(chunk, _, done) {
      left -= chunk.length
      done(left < 0 ? new UserError('it unpacks to more than PYBUNDLE_MAX_GIB allows') : null, chunk)
    },
  })
}

function tarComplaint({ message }: Error): string {
  if (/incorrect header check/.test(message)) return 'it is not compressed with gzip'
  if (/unexpected end/i.test(message)) return 'it was cut off, upload it again'
  return `it is broken (${message})`
}

/** The first entry's. A target goes by these bytes; what it takes for the archive's begin, a reader of zips does not ask. */
const ZIP_BEGIN = Buffer.from('PK\x03\x04')

async function zipNames(stream: Readable): Promise<string[]> {
  const content = await buffer(stream)
  try {
    if (!content.subarray(0, ZIP_BEGIN.length).equals(ZIP_BEGIN)) throw new Error('it does not begin as one')
    const zip = await fromBufferPromise(content, { lazyEntries: true, strictFileNames: true })
    const entries = await readEntries(zip, { links: true })
    for (const [name, entry] of entries) await checkMember(zip, name, entry)
    return [...entries.keys()]
  } catch (error) {
    if (error instanceof UserError)
      throw new UserError(`not a code archive: ${error.message}.`, { cause: error })
    throw new UserError(`not a .zip: it is broken or was cut off (${(error as Error).message}).`, {
      cause: error,
    })
  }
}

async function checkMember(zip: ZipFile, name: string, entry: Entry): Promise<void> {
  const target: Buffer[] = []
  for await (const chunk of readMember(zip, entry)) if (isLink(entry)) target.push(chunk)
  if (isLink(entry)) refuseLinkOut(name, Buffer.concat(target).toString('utf8'))
}
