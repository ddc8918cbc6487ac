import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { UserError } from '../user-error.ts'

/** A folder or an archive on the laptop that a requirement names. */
export interface LocalSource {
  path: string
  /** `[extra]` or nothing. */
  extras: string
  /** What follows the ";". */
  marker: string
}

export interface Requirements {
  local: LocalSource[]
  /** All else, as pip reads it, with absolute paths; options first. */
  lines: string[]
  /** Names that the lines ask for. */
  names: string[]
  /** Every file that was read, the first one first. */
  files: string[]
}

/** Reads a requirements file and those that it includes; every line that cannot be used is reported at once. */
export function readRequirements(folder: string, path: string): Requirements {
  const found: Requirements = { local: [], lines: [], names: [], files: [] }
  const mistakes: string[] = []
  readFile({ folder, found, mistakes }, resolve(folder, path))
  if (mistakes.length > 0) throw new UserError(mistakes.join('\n'))
  if (found.local.length === 0 && found.names.length === 0) {
    throw new UserError(
      `${join(folder, path)}: names no dependency. An app of the standard library alone needs none of this; name its server, at least.`,
    )
  }
  return found
}

interface Reading {
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
const NAMED_URL = /^([\w.-]+)\s*(\[[^\]]*\])?\s*@\s*(\S+)\s*(?:;\s*(.*))?$/
const NAMED = /^([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*($|[<>=!~;(]|--)/

/** Files what the line says; what is wrong with it otherwise. */
function readLine(reading: Reading, text: string, place: Place): string | undefined {
  if (text.startsWith('-')) return readOption(reading, text, place)
  if (VCS.test(text)) return vcsMistake(text)
  const url = text.match(NAMED_URL)
  if (url) return readUrl(reading.found, text, url)
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
      return VCS.test(value) ? vcsMistake(value) : addLocal(reading.found, value, dirname(file))
    default:
      reading.found.lines.unshift(text)
      return undefined
  }
}

function readUrl(found: Requirements, text: string, [, name, extras, url, marker]: RegExpMatchArray) {
  if (url && VCS.test(url)) return vcsMistake(url)
  if (url?.startsWith('file:')) {
    found.local.push({ path: fileURLToPath(url), extras: extras ?? '', marker: marker ?? '' })
    return undefined
  }
  found.names.push(name ?? '')
  found.lines.push(text)
  return undefined
}

function vcsMistake(url: string): string {
  return `"${url}" is in a repository: a bundle holds wheels only. Build its wheel (pip wheel --no-deps "${url}") and name that file here.`
}

function isPath(text: string): boolean {
  return /^(\.{0,2}\/|\.$|\.\.$|\.\[|file:)/.test(text) || /^[^\s;]+\.(whl|tar\.gz|zip)($|\[|\s)/.test(text)
}

function addLocal(found: Requirements, text: string, folder: string): string | undefined {
  const [, written = '', extras = '', marker = ''] =
    text.match(/^([^;[]+?)\s*(\[[^\]]*\])?\s*(?:;\s*(.*))?$/) ?? []
  if (/^https?:/.test(written)) {
    found.names.push(written)
    found.lines.push(text)
    return undefined
  }
  const path = localPath(written, folder)
  if (!existsSync(path)) return `there is no "${written}"`
  found.local.push({ path, extras, marker })
  return undefined
}

function localPath(written: string, folder: string): string {
  if (written.startsWith('file:///')) return fileURLToPath(written)
  const path = written.replace(/^file:/, '')
  return isAbsolute(path) ? path : resolve(folder, path)
}
