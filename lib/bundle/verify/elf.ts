import type { Platform } from '../platform.ts'

/** What a native file of Linux asks of the machine that loads it. */
export interface ElfNeeds {
  /** As the kernel says it: `x86_64`; `e_machine 8` where it is none that we know. */
  machine: string
  bits: 32 | 64
  /** The highest version of glibc whose symbols it uses: "2.34". */
  glibc?: string
  /** The same of GCC's library for C++: "3.4.29". */
  libstdcxx?: string
  /** Shared libraries that are loaded with it: `libpq.so.5`. */
  libraries: string[]
}

/** The needs of an executable or a shared library; undefined for anything else, and for what is damaged. */
export function elfNeeds(file: Buffer): ElfNeeds | undefined {
  if (!file.subarray(0, 4).equals(MAGIC)) return undefined
  try {
    return readNeeds(openElf(file))
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Why the dynamic loader of the platform would refuse the file; undefined when it would not. */
export function whyElfUnfit(needs: ElfNeeds, { machine, libc }: Platform): string | undefined {
  const [name, version] = libc
  if (name === 'macos') return 'is for Linux'
  if (needs.machine !== machine || needs.bits !== 64) return `is for ${needs.machine}, ${needs.bits} bits`
  const muslOnly = needs.libraries.find((library) => library.startsWith('libc.musl-'))
  if (muslOnly && name === 'glibc') return `needs musl (${muslOnly})`
  if (!needs.glibc) return undefined
  if (name === 'musl') return `needs glibc ${needs.glibc}`
  return isNewer(needs.glibc, version) ? `needs glibc ${needs.glibc}` : undefined
}

const MAGIC = Buffer.from('\x7fELF', 'latin1')

/** https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html */
const MACHINES: Record<number, string> = {
  3: 'i686',
  21: 'ppc64le',
  22: 's390x',
  40: 'armv7l',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
}

const TYPES_THAT_ARE_LOADED = [2, 3]
const [PT_LOAD, PT_DYNAMIC] = [1, 2]
const [DT_NEEDED, DT_STRTAB, DT_VERNEED, DT_VERNEEDNUM] = [1, 5, 0x6ffffffe, 0x6fffffff]
const WEAK = 2

/** More than any real file has: what is made to keep a reader busy is damaged. */
const [LONGEST_NAME, MOST_ENTRIES] = [4096, 10_000]

/** Reads numbers as the file's class and byte order have them. */
interface Elf {
  bits: 32 | 64
  half: (at: number) => number
  word: (at: number) => number
  /** 4 or 8 bytes. */
  address: (at: number) => number
  text: (at: number) => string
}

function openElf(file: Buffer): Elf {
  const bits = file.readUInt8(4) === 2 ? 64 : 32
  const isLittle = file.readUInt8(5) === 1
  const half = (at: number) => (isLittle ? file.readUInt16LE(at) : file.readUInt16BE(at))
  const word = (at: number) => (isLittle ? file.readUInt32LE(at) : file.readUInt32BE(at))
  const long = (at: number) => Number(isLittle ? file.readBigUInt64LE(at) : file.readBigUInt64BE(at))
  const text = (at: number) => {
    const length = file.subarray(at, at + LONGEST_NAME).indexOf(0)
    if (length < 0) throw new RangeError('a name without an end')
    return file.toString('latin1', at, at + length)
  }
  return { bits, half, word, address: bits === 64 ? long : word, text }
}

function readNeeds(elf: Elf): ElfNeeds | undefined {
  if (!TYPES_THAT_ARE_LOADED.includes(elf.half(16))) return undefined
  const code = elf.half(18)
  const { libraries, versions } = readDynamic(elf)
  const glibc = newestOf(versions.flatMap(glibcOf))
  const libstdcxx = newestOf(versions.flatMap((version) => version.match(/^GLIBCXX_([\d.]+)$/)?.[1] ?? []))
  return {
    machine: MACHINES[code] ?? `e_machine ${code}`,
    bits: elf.bits,
    ...(glibc ? { glibc } : {}),
    ...(libstdcxx ? { libstdcxx } : {}),
    libraries,
  }
}

/** By program headers, as the loader reads it: sections may be stripped. */
function readDynamic(elf: Elf): { libraries: string[]; versions: string[] } {
  const segments = readSegments(elf)
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  if (!dynamic) return { libraries: [], versions: [] }
  const entries = readEntries(elf, dynamic)
  const entryOf = (tag: number) => entries.find((entry) => entry.tag === tag)?.value
  const place = (address: number) => {
    const holder = segments.find(
      ({ type, start, size }) => type === PT_LOAD && address >= start && address < start + size,
    )
    if (!holder) throw new RangeError('an address outside of the file')
    return address - holder.start + holder.offset
  }
  const strings = place(entryOf(DT_STRTAB) ?? -1)
  const libraries = entries
    .filter(({ tag }) => tag === DT_NEEDED)
    .map(({ value }) => elf.text(strings + value))
  const needed = entryOf(DT_VERNEED)
  if (needed === undefined) return { libraries, versions: [] }
  return { libraries, versions: readVersions(elf, place(needed), entryOf(DT_VERNEEDNUM) ?? 0, strings) }
}

interface Segment {
  type: number
  offset: number
  start: number
  size: number
}

function readSegments({ bits, half, word, address }: Elf): Segment[] {
  const [table, entrySize, count] =
    bits === 64 ? [address(32), half(54), half(56)] : [address(28), half(42), half(44)]
  return Array.from({ length: count }, (_, index) => {
    const at = table + index * entrySize
    const [offset, start, size] = bits === 64 ? [at + 8, at + 16, at + 32] : [at + 4, at + 8, at + 16]
    return { type: word(at), offset: address(offset), start: address(start), size: address(size) }
  })
}

function readEntries({ bits, address }: Elf, { offset, size }: Segment): { tag: number; value: number }[] {
  const width = bits / 8
  const entries = []
  for (let at = offset; at < offset + size; at += 2 * width) {
    const tag = address(at)
    if (tag === 0) break
    if (entries.length === MOST_ENTRIES) throw new RangeError('too many entries')
    entries.push({ tag, value: address(at + width) })
  }
  return entries
}

/** A list of libraries, each with a list of the versions that are wanted of it. */
function readVersions({ half, word, text }: Elf, start: number, count: number, strings: number): string[] {
  const versions: string[] = []
  let read = 0
  for (let at = start, left = count; left > 0; left--) {
    let version = at + word(at + 8)
    for (let more = half(at + 2); more > 0; more--) {
      // The loader does without a version that only weak symbols want.
      if ((half(version + 4) & WEAK) === 0) versions.push(text(strings + word(version + 8)))
      if (++read > MOST_ENTRIES) throw new RangeError('too many versions')
      version += word(version + 12)
    }
    if (word(at + 12) === 0) break
    at += word(at + 12)
  }
  return versions
}

function glibcOf(version: string): string[] {
  if (version === 'GLIBC_ABI_DT_RELR') return ['2.36']
  const [, number] = version.match(/^GLIBC_(\d+\.\d+)/) ?? []
  return number ? [number] : []
}

export function newestOf(versions: readonly string[]): string | undefined {
  return versions.reduce<string | undefined>(
    (newest, version) => (newest === undefined || isNewer(version, newest) ? version : newest),
    undefined,
  )
}

/** Of two versions of one library, numbers all. */
export function isNewer(a: string, b: string): boolean {
  return a.localeCompare(b, 'en', { numeric: true }) > 0
}
