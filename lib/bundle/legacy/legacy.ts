import type { Entry, ZipFile } from 'yauzl'
import { isZipComplaint, readEntries, readMember } from '../../archive-entries.ts'
import { UserError } from '../../user-error.ts'
import type { VcsRecord } from '../build/vcs.ts'
import { LEGACY_MANIFESTS } from '../read-manifest.ts'
import { openRanges, type RangeSource, withFile } from '../read-ranges.ts'
import { normalizeName } from '../wheel.ts'
import { NOTE_NAMES, parseNote } from './legacy-notes.ts'

/** What `pip bundle` wrote until pip 6.0: source trees, and a list of them. */
export interface LegacyBundle {
  format: 1
  size: number
  /** Which of them were asked for cannot be told: what came from a requirements file counted as needed by that. */
  packages: LegacyPackage[]
}

export interface LegacyPackage {
  name: string
  version: string | null
  /** `build/NAME`, or `src/NAME` for what was editable. */
  folder: string
  /** Unpacked. */
  size: number
  checkout?: VcsRecord
}

/** Undefined when the file is no bundle of format 1, be it whatever else. */
export async function readLegacy(file: string): Promise<LegacyBundle | undefined> {
  return useLegacy(file, async (opened, source) => ({
    format: 1,
    size: source.size,
    packages: await listPackages(opened),
  }))
}

export interface OpenLegacy {
  zip: ZipFile
  entries: Map<string, Entry>
}

export async function useLegacy<T>(
  file: string,
  use: (opened: OpenLegacy, source: RangeSource) => Promise<T>,
): Promise<T | undefined> {
  return withFile(file, async (source) => {
    const opened = await openLegacy(source)
    if (!opened) return undefined
    try {
      return await use(opened, source)
    } catch (error) {
      if (!(error instanceof UserError) && !isZipComplaint(error)) throw error
      throw new UserError(`${file}: a bundle of format 1 that cannot be read: ${(error as Error).message}`, {
        cause: error,
      })
    }
  })
}

async function openLegacy(source: RangeSource): Promise<OpenLegacy | undefined> {
  try {
    const zip = await openRanges(source)
    const entries = await readEntries(zip)
    return LEGACY_MANIFESTS.some((name) => entries.has(name)) ? { zip, entries } : undefined
  } catch (error) {
    if (error instanceof UserError || isZipComplaint(error)) return undefined
    throw error
  }
}

/** The trees of a bundle: `build/alpha`, `src/gamma`. */
export function treesOf(entries: ReadonlyMap<string, Entry>): string[] {
  const trees = [...entries.keys()].flatMap((name) => name.match(/^((?:build|src)\/[^/]+)\//)?.[1] ?? [])
  return [...new Set(trees)].sort()
}

async function listPackages({ zip, entries }: OpenLegacy): Promise<LegacyPackage[]> {
  const read = (name: string) => readText(zip, entries.get(name))
  const versions = parseList((await Promise.all(LEGACY_MANIFESTS.map(read))).join('\n'))
  return Promise.all(
    treesOf(entries).map(async (folder) => {
      const name = folder.slice(folder.indexOf('/') + 1)
      const notes = await Promise.all(
        NOTE_NAMES.map(async (note) => parseNote(note, await read(`${folder}/${note}`))),
      )
      const checkout = notes.find((note) => note !== undefined)
      const listed = versions.get(normalizeName(name))
      const version = listed ?? (await read(`${folder}/PKG-INFO`)).match(/^Version: (\S+)/m)?.[1] ?? null
      return { name, version, folder, size: sizeOf(entries, folder), ...(checkout ? { checkout } : {}) }
    }),
  )
}

/** `None` is what pip wrote where it knew no version. */
function parseList(text: string): Map<string, string> {
  const lines = [...text.matchAll(/^([^#\s=]+)==(\S+)\s*$/gm)].filter(([, , version]) => version !== 'None')
  return new Map(lines.map(([, name = '', version = '']) => [normalizeName(name), version]))
}

function sizeOf(entries: ReadonlyMap<string, Entry>, folder: string): number {
  return [...entries]
    .filter(([name]) => name.startsWith(`${folder}/`))
    .reduce((total, [, { uncompressedSize }]) => total + uncompressedSize, 0)
}

const TEXT_LIMIT = 1024 * 1024

async function readText(zip: ZipFile, entry: Entry | undefined): Promise<string> {
  if (!entry) return ''
  if (entry.uncompressedSize > TEXT_LIMIT)
    throw new UserError(`"${entry.fileName}" has ${entry.uncompressedSize} bytes`)
  const chunks: Buffer[] = []
  for await (const chunk of readMember(zip, entry)) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
