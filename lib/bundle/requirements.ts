import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sha256 } from '../release/digest.ts'
import { UserError } from '../user-error.ts'
import { fillVariables, maskCredentials } from './credentials.ts'
import { parseVcs } from './vcs.ts'
import { normalizeName } from './wheel.ts'

/** A folder or an archive on the laptop that a requirement names. */
export interface LocalSource {
  path: string
  /** `[extra]` or nothing. */
  extras: string
  /** What follows the ";". */
  marker: string
}

/** A repository or a source archive that a requirement names. */
export interface RemoteSource {
  /** As written: variables are not filled in. With the hashes that are asked for, if any. */
  url: string
  extras: string
  marker: string
}

export interface Requirements {
  local: LocalSource[]
  remote: RemoteSource[]
  /** All else, as pip reads it, with absolute paths; options first. */
  lines: string[]
  /** Names that the lines ask for. */
  names: string[]
  /** Names that are built from their source, whatever wheels there are. */
  noBinary: string[]
  /** Versions of whatever turns out to be needed: `name==1.0`. */
  constraints: string[]
  /** Every file that was read, the first one first. */
  files: string[]
}

/** Reads a requirements file and those that it includes; every line that cannot be used is reported at once. */
export function readRequirements(folder: string, path: string): Requirements {
  const reading: Reading = { folder, found: noRequirements(), mistakes: [] }
  readFile(reading, resolve(folder, path))
  return finishReading(reading, join(folder, path))
}

export function finishReading({ found, mistakes }: Reading, file: string): Requirements {
  if (mistakes.length > 0) throw new UserError(maskCredentials(mistakes.join('\n')))
  if (found.local.length + found.remote.length + found.names.length > 0) return found
  throw new UserError(
    `${file}: names no dependency. An app of the standard library alone needs none of this; name its server, at least.`,
  )
}

export function noRequirements(): Requirements {
  return { local: [], remote: [], lines: [], names: [], noBinary: [], constraints: [], files: [] }
}

export interface Reading {
  folder: string
  found: Requirements
  mistakes: string[]
}

function readFile(reading: Reading, file: string, namedBy?: string): void {
  const { found, mistakes, folder } = reading
  if (found.files.includes(file)) return
  if (!existsSync(file)) {
    const hint = namedBy
      ? ` (named in ${namedBy})`
      : '. Write one, or name another with "requirements" in the configuration.'
    mistakes.push(`no requirements file ${file}${hint}`)
    return
  }
  found.files.push(file)
  for (const { text, line } of logicalLines(readFileSync(file, 'utf8'))) {
    const where = `${relative(folder, file) || file}:${line}`
    const mistake = readLine(reading, text, { file, where })
    if (mistake) mistakes.push(`${where}: ${mistake}`)
  }
}

/** Joins lines that end in a backslash and drops comments, as pip does. */
function logicalLines(content: string): { text: string; line: number }[] {
  const lines: { text: string; line: number }[] = []
  let open: { text: string; line: number } | undefined
  for (const [index, physical] of content
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const text = `${open?.text ?? ''}${physical}`
    const line = open?.line ?? index + 1
    open = physical.endsWith('\\') ? { text: text.slice(0, -1), line } : undefined
    if (!open) lines.push({ text, line })
  }
  if (open) lines.push(open)
  return lines
    .map(({ text, line }) => ({ text: text.replace(/(^|\s+)#.*$/, '').trim(), line }))
    .filter(({ text }) => text)
}

interface Place {
  file: string
  where: string
}

const VCS = /^(git|hg|svn|bzr)\+/
const ARCHIVE = /\.(tar\.(gz|bz2|xz)|tgz|zip)$/
const NAMED_URL = /^([\w.-]+)\s*(\[[^\]]*\])?\s*@\s*(.*)$/
const NAMED = /^([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*($|[<>=!~;(]|--)/

/** Files what the line says; what is wrong with it otherwise. */
export function readLine(reading: Reading, text: string, place: Place): string | undefined {
  if (text.startsWith('-')) return readOption(reading, text, place)
  const [, name, extras, url] = text.match(NAMED_URL) ?? []
  if (url) return readUrl(reading.found, url, { name, extras, text })
  if (/^[a-z+-]+:\/\//.test(text) && !text.startsWith('file:')) return readUrl(reading.found, text, { text })
  if (isPath(text)) return addLocal(reading.found, text, dirname(place.file))
  const named = text.match(NAMED)
  if (!named) return `"${text}" is not a requirement`
  reading.found.names.push(named[1] ?? '')
  reading.found.lines.push(text)
  return undefined
}

function readOption(reading: Reading, text: string, { file, where }: Place): string | undefined {
  const [, option = '', value = ''] = text.match(/^(--?[\w-]+)(?:[\s=]+|(?<=^-[a-z]))?(.*)$/) ?? []
  const path = resolve(dirname(file), value)
  switch (option) {
    case '-r':
    case '--requirement':
      readFile(reading, path, where)
      return undefined
    case '-c':
    case '--constraint':
      if (!existsSync(path)) return `no constraints file ${path}`
      reading.found.files.push(path)
      reading.found.lines.unshift(`-c ${path}`)
      return undefined
    case '-f':
    case '--find-links':
      reading.found.lines.unshift(`--find-links ${/^\w+:/.test(value) ? value : path}`)
      return undefined
    case '-e':
    case '--editable':
      return VCS.test(value)
        ? readUrl(reading.found, value, { text })
        : addLocal(reading.found, value, dirname(file))
    case '--no-binary':
      return readNoBinary(reading.found, value)
    case '--require-hashes':
      return undefined
    default:
      reading.found.lines.unshift(text)
      return undefined
  }
}

function readNoBinary(found: Requirements, value: string): string | undefined {
  if (value === ':all:')
    return '"--no-binary :all:" would build everything here, for another machine; name packages'
  found.noBinary.push(...value.split(',').map((name) => normalizeName(name.trim())))
  return undefined
}

interface Named {
  name?: string | undefined
  extras?: string | undefined
  /** The whole line. */
  text: string
}

function readUrl(
  found: Requirements,
  written: string,
  { name = '', extras = '', text }: Named,
): string | undefined {
  const [, url = '', hashes = '', marker = ''] =
    written.match(/^(\S+)((?:\s+--hash[ =]\S+)*)\s*(?:;\s*(.*?))?$/) ?? []
  if (!url) return `"${text}" is not a requirement`
  if (url.startsWith('file:')) return addFile(found, { path: fileURLToPath(url), extras, marker })
  const [address = ''] = url.split('#')
  if (VCS.test(url)) {
    if (!parseVcs(url)) return vcsMistake(url)
    found.remote.push({ url, extras: extras || extrasOf(url), marker })
  } else if (ARCHIVE.test(address)) {
    found.remote.push({ url: `${url}${hashes}`, extras, marker })
  } else {
    found.names.push(name)
    found.lines.push(text)
  }
  return undefined
}

/** `#egg=name[extra]`, as it was written before `name[extra] @ url` was. */
function extrasOf(url: string): string {
  return decodeURIComponent(url).match(/#(?:.*&)?egg=[\w.-]+(\[[^\]]*\])/)?.[1] ?? ''
}

function vcsMistake(url: string): string {
  const what = /^(svn|bzr)/.test(url)
    ? 'only git and hg are checked out here'
    : 'not an address that can be read'
  return `"${url}": ${what}. Build its wheel (pip wheel --no-deps "${url}") and name that file instead.`
}

function isPath(text: string): boolean {
  return /^(\.{0,2}\/|\.$|\.\.$|\.\[|file:)/.test(text) || /^[^\s;]+\.(whl|tar\.gz|zip)($|\[|\s)/.test(text)
}

function addLocal(found: Requirements, text: string, folder: string): string | undefined {
  const [, written = '', extras = '', hashes = '', marker = ''] =
    text.match(/^([^;[]+?)\s*(\[[^\]]*\])?((?:\s+--hash[ =]\S+)*)\s*(?:;\s*(.*))?$/) ?? []
  const path = localPath(written, folder)
  if (!existsSync(path)) return `there is no "${written}"`
  return addFile(found, { path, extras, marker }, hashes)
}

function addFile(found: Requirements, source: LocalSource, hashes = ''): string | undefined {
  const wanted = [...hashes.matchAll(/sha256:(\w+)/g)].map(([, digest]) => digest)
  if (wanted.length > 0 && !wanted.includes(sha256(readFileSync(source.path)))) {
    return `"${source.path}" has another sha256 than --hash says`
  }
  found.local.push(source)
  return undefined
}

function localPath(written: string, folder: string): string {
  if (written.startsWith('file:///')) return fileURLToPath(written)
  const path = fillVariables(written.replace(/^file:/, ''))
  return isAbsolute(path) ? path : resolve(folder, path)
}
