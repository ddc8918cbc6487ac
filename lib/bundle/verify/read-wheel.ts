import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import type { Entry, ZipFile } from 'yauzl'
import { isZipComplaint, readEntries, readMember } from '../../archive-entries.ts'
import { UserError } from '../../user-error.ts'
import { openRanges, type RangeSource, withFile } from '../read-ranges.ts'
import { parseWheelName } from '../wheel.ts'
import { infoFolders, wheelMistakes } from './wheel-mistakes.ts'

/** What a wheel holds and says of itself. */
export interface WheelContents {
  /** Its base name. */
  file: string
  /** Normalized, as its file name says. */
  name: string
  version: string
  metadata: WheelMetadata
  /** The sha256 (base64url, as RECORD has it) of each file, by its name in the wheel. */
  files: Map<string, string>
  /** What it puts into `bin/` by entry points, and what each of them calls. */
  scripts: Map<string, string>
  /** What is wrong within it. */
  mistakes: string[]
}

export interface WheelMetadata {
  name: string
  version: string
  requiresPython?: string
  /** PEP 508, each. */
  requires: string[]
  extras: string[]
}

/** What else is to be done with a member while it is at hand. */
export type MemberVisitor = (name: string, content: Buffer) => void

/** Reads a wheel from its first byte to its last. A UserError when that is not possible. */
export async function readWheel(path: string, visitNative: MemberVisitor = () => {}): Promise<WheelContents> {
  return withFile(path, (source) => readWheelFrom(source, basename(path), visitNative))
}

export async function readWheelFrom(
  source: RangeSource,
  file: string,
  visitNative: MemberVisitor = () => {},
): Promise<WheelContents> {
  const named = parseWheelName(file)
  if (!named) throw new UserError(`"${file}" is not a wheel, and a target must not have to build one`)
  try {
    const zip = await openRanges(source)
    const { files, texts } = await readMembers(zip, await readEntries(zip), visitNative)
    return { file, ...named, ...describe(named, files, texts) }
  } catch (error) {
    throw complaint(file, error)
  }
}

function complaint(file: string, error: unknown): unknown {
  if (!(error instanceof UserError) && !isZipComplaint(error)) return error
  return new UserError(`"${file}" cannot be read: ${(error as Error).message}`, { cause: error })
}

const INFO = /^[^/]+\.dist-info\/(METADATA|RECORD|WHEEL|entry_points\.txt)$/
const ELF = Buffer.from('\x7fELF', 'latin1')

async function readMembers(zip: ZipFile, entries: Map<string, Entry>, visitNative: MemberVisitor) {
  const files = new Map<string, string>()
  const texts = new Map<string, string>()
  for (const [name, entry] of entries) {
    const isText = INFO.test(name)
    const hash = createHash('sha256')
    const kept: Buffer[] = []
    let isNative = false
    for await (const chunk of readMember(zip, entry)) {
      hash.update(chunk)
      if (kept.length === 0) isNative = chunk.subarray(0, 4).equals(ELF)
      if (isText || isNative) kept.push(chunk)
    }
    files.set(name, hash.digest('base64url'))
    if (isNative) visitNative(name, Buffer.concat(kept))
    if (isText) texts.set(name, Buffer.concat(kept).toString('utf8'))
  }
  return { files, texts }
}

function describe(named: { name: string }, files: Map<string, string>, texts: Map<string, string>) {
  const info = infoFolders(files)[0] ?? ''
  return {
    metadata: parseMetadata(texts.get(`${info}/METADATA`) ?? ''),
    files,
    scripts: parseScripts(texts.get(`${info}/entry_points.txt`) ?? ''),
    mistakes: wheelMistakes({ name: named.name, files, texts }),
  }
}

/** Headers as in a mail, up to the first empty line. */
function parseMetadata(text: string): WheelMetadata {
  const [head = ''] = text.replaceAll('\r\n', '\n').split('\n\n', 1)
  const fields = head
    .replace(/\n[ \t]+/g, ' ')
    .split('\n')
    .map((line) => line.match(/^([\w-]+):\s*(.*?)\s*$/))
  const all = (field: string) =>
    fields.flatMap((match) => (match?.[1]?.toLowerCase() === field ? [match[2] ?? ''] : []))
  const [requiresPython] = all('requires-python')
  return {
    name: all('name')[0] ?? '',
    version: all('version')[0] ?? '',
    ...(requiresPython ? { requiresPython } : {}),
    requires: all('requires-dist'),
    extras: all('provides-extra'),
  }
}

function parseScripts(text: string): Map<string, string> {
  const scripts = new Map<string, string>()
  let section = ''
  for (const line of text.split(/\r?\n/)) {
    section = line.match(/^\s*\[(.*)\]\s*$/)?.[1] ?? section
    const [, name, calls = ''] = line.match(/^\s*([^\s=#;[][^=]*?)\s*=\s*([\w.:]*)/) ?? []
    if (name && (section === 'console_scripts' || section === 'gui_scripts')) scripts.set(name, calls)
  }
  return scripts
}
