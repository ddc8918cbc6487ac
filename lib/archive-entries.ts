import { posix } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Entry, ZipFile } from 'yauzl'
import { UserError } from './user-error.ts'

/** How much an archive may unpack to: more is a bomb, or needs to be asked for. */
export interface ArchiveLimits {
  members: number
  bytes: number
}

const GIB = 1024 ** 3

/** `PYBUNDLE_MAX_MEMBERS` and `PYBUNDLE_MAX_GIB` raise or lower what is taken from an archive made by others. */
export function archiveLimits(environment = process.env): ArchiveLimits {
  const { PYBUNDLE_MAX_MEMBERS, PYBUNDLE_MAX_GIB } = environment
  return {
    members: Number(PYBUNDLE_MAX_MEMBERS) || 200_000,
    bytes: (Number(PYBUNDLE_MAX_GIB) || 16) * GIB,
  }
}

export interface EntryRules {
  limits?: ArchiveLimits
  /** Whether it may hold symbolic links. */
  links?: boolean
}

/** Every member by its name, folders left out. A UserError when the zip holds what would not unpack everywhere and harmlessly. */
export async function readEntries(zip: ZipFile, rules: EntryRules = {}): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>()
  const names = new MemberNames(rules.limits)
  try {
    for await (const entry of zip.eachEntry()) {
      names.add(entry.fileName, entry.uncompressedSize)
      refuseKind(entry, rules.links ?? false)
      if (!entry.fileName.endsWith('/')) entries.set(entry.fileName, entry)
    }
  } catch (error) {
    if (!isZipComplaint(error)) throw error
    throw new UserError(`its directory is broken (${(error as Error).message})`, { cause: error })
  }
  return entries
}

/** A member's content; it ends in a UserError where that is not what the directory says of it. */
export async function* readMember(zip: ZipFile, entry: Entry): AsyncGenerator<Buffer> {
  let sum = 0
  try {
    for await (const chunk of await zip.openReadStreamPromise(entry)) {
      sum = crc32(chunk, sum)
      yield chunk
    }
  } catch (error) {
    if (!isZipComplaint(error)) throw error
    throw new UserError(`"${entry.fileName}" cannot be read (${(error as Error).message})`, { cause: error })
  }
  if (sum !== entry.crc32) throw new UserError(`"${entry.fileName}" was changed: its CRC-32 differs`)
}

/**
 * yauzl's complaints are plain errors, and zlib's have a code of their own; those of the system and the network have
 * others, or another name.
 */
export function isZipComplaint(error: unknown): boolean {
  if (!(error instanceof Error) || error.name !== 'Error') return false
  return !('code' in error) || String(error.code).startsWith('Z_')
}

/** The names in one archive, which must be different files below one folder on every file system. */
export class MemberNames {
  readonly #limits: ArchiveLimits
  /** By what is left of the name where case does not count. */
  readonly #files = new Map<string, string>()
  readonly #folders = new Set<string>()
  #members = 0
  #bytes = 0

  constructor(limits = archiveLimits()) {
    this.#limits = limits
  }

  /** A folder's name ends in "/". */
  add(name: string, size: number): void {
    const why = whyUnsafeName(name)
    if (why) throw new UserError(`"${printable(name)}" ${why}`)
    this.#count(size)
    const folded = fold(name)
    for (const folder of foldersOf(folded)) {
      const file = this.#files.get(folder)
      if (file) throw new UserError(`"${file}" is a file, and the folder of "${name}"`)
      this.#folders.add(folder)
    }
    if (!folded.endsWith('/')) this.#addFile(name, folded)
  }

  #addFile(name: string, folded: string): void {
    const other = this.#files.get(folded)
    if (other === name) throw new UserError(`it holds "${name}" twice`)
    if (other) {
      const what = other.normalize() === name.normalize() ? 'how an accent is written' : 'case'
      throw new UserError(`"${name}" and "${other}" are one file where ${what} does not count`)
    }
    if (this.#folders.has(folded)) throw new UserError(`"${name}" is a file, and a folder`)
    this.#files.set(folded, name)
  }

  #count(size: number): void {
    const { members, bytes } = this.#limits
    this.#members += 1
    this.#bytes += size
    if (this.#members > members)
      throw new UserError(`it holds more than ${members} files (PYBUNDLE_MAX_MEMBERS allows more)`)
    if (this.#bytes > bytes)
      throw new UserError(`it unpacks to more than ${bytes / GIB} GiB (PYBUNDLE_MAX_GIB allows more)`)
  }
}

export function whyUnsafeName(name: string): string | undefined {
  const parts = name.replace(/\/$/, '').split('/')
  if (name.includes('\\')) return 'has a backslash, which is a folder on some systems'
  if (/^([/~]|[A-Za-z]:)/.test(name)) return 'is an absolute name'
  if (parts.includes('..')) return 'leads out of the archive'
  if (parts.some((part) => part === '' || part === '.')) return 'is no plain name'
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for.
  return /[\u0000-\u001f\u007f]/.test(name) ? 'has a control character' : undefined
}

const KIND = 0o170000
const REGULAR = 0o100000
const LINK = 0o120000
const FOLDER = 0o040000
const SPECIAL_BITS = 0o7000

function refuseKind(entry: Entry, links: boolean): void {
  const mode = entry.externalFileAttributes >>> 16
  const kind = mode & KIND
  const isFolder = entry.fileName.endsWith('/')
  const name = `"${entry.fileName}"`
  if (entry.isEncrypted()) throw new UserError(`${name} is encrypted`)
  const accepted = isFolder ? [0, FOLDER] : [0, REGULAR, ...(links ? [LINK] : [])]
  if (!accepted.includes(kind)) throw new UserError(`${name} is ${KINDS.get(kind) ?? 'no file'}`)
  if (!isFolder) refuseSpecialBits(entry.fileName, mode)
}

export function isLink(entry: Entry): boolean {
  return ((entry.externalFileAttributes >>> 16) & KIND) === LINK
}

export function refuseSpecialBits(name: string, mode: number): void {
  if (mode & SPECIAL_BITS) throw new UserError(`"${printable(name)}" is setuid, setgid or sticky`)
}

/**
 * Follows nothing: a link's target must be in the archive by its text alone. Up only first: after a name that is a link
 * itself, ".." is somewhere else than the text says.
 */
export function refuseLinkOut(name: string, target: string): void {
  const path = posix.normalize(posix.join(posix.dirname(name), target))
  const isOut = target.startsWith('/') || target.includes('\\') || path === '..' || path.startsWith('../')
  const afterUp = target.replace(/^(\.\.?\/+)+/, '').split('/')
  const isWinding = afterUp.lastIndexOf('..') > 0
  if (isOut || isWinding)
    throw new UserError(`"${printable(name)}" links out of the archive, to "${printable(target)}"`)
}

const KINDS = new Map([
  [LINK, 'a symbolic link'],
  [0o060000, 'a block device'],
  [0o020000, 'a character device'],
  [0o010000, 'a pipe'],
  [0o140000, 'a socket'],
  [FOLDER, 'a folder by its mode, a file by its name'],
])

function fold(name: string): string {
  return name.normalize('NFC').toLowerCase()
}

function foldersOf(name: string): string[] {
  const parts = name.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}

function printable(name: string): string {
  return JSON.stringify(name).slice(1, -1).slice(0, 200)
}
