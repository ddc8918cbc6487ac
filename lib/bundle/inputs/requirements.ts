import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { UserError } from '../../user-error.ts'
import type { VcsRecord } from '../build/vcs.ts'
import { maskCredentials } from '../credentials.ts'
import { normalizeName } from '../wheel.ts'
import { readLogicalLines } from './requirement-lines.ts'
import { addLocal, addUrl, isPath, localPath } from './requirement-source.ts'

/** A folder or an archive on the laptop that a requirement names. */
export interface LocalSource {
  path: string
  /** `[extra]` or nothing. */
  extras: string
  /** What follows the ";". */
  marker: string
  /** Where it once was checked out from. */
  vcs?: VcsRecord
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
  const reading = startReading(folder)
  readFile(reading, resolve(folder, path))
  return finishReading(reading, join(folder, path))
}

export interface Reading {
  folder: string
  found: Requirements
  mistakes: string[]
  /** Files whose requirements were read: a file that only constrains is in none of the two. */
  included: Set<string>
}

export function startReading(folder: string): Reading {
  return { folder, found: noRequirements(), mistakes: [], included: new Set() }
}

export function finishReading({ found, mistakes }: Reading, file: string): Requirements {
  if (mistakes.length > 0) throw new UserError(maskCredentials(mistakes.join('\n')))
  if (found.local.length + found.remote.length + found.names.length > 0) return found
  throw new UserError(
    `${file}: names no dependency. An app of the standard library alone needs none of this; name its server, at least.`,
  )
}

/** As pip has it: one that has a hash asks for a hash of each, of what others need too. */
export function requiresHashes({ lines }: Requirements): boolean {
  return lines.some((line) => line === '--require-hashes' || / --hash[ =]/.test(line))
}

export function noRequirements(): Requirements {
  return { local: [], remote: [], lines: [], names: [], noBinary: [], constraints: [], files: [] }
}

function readFile(reading: Reading, file: string, namedBy?: string): void {
  const { found, mistakes, folder, included } = reading
  if (included.has(file)) return
  if (!isFile(file)) {
    const hint = namedBy
      ? ` (named in ${namedBy})`
      : '. Write one, or name another with "requirements" in the configuration.'
    mistakes.push(`no requirements file ${file}${hint}`)
    return
  }
  included.add(file)
  noteFile(found, file)
  for (const { text, line } of readLogicalLines(file)) {
    const where = `${relative(folder, file) || file}:${line}`
    const mistake = readLine(reading, text, { file, where })
    if (mistake) mistakes.push(`${where}: ${mistake}`)
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false
}

function noteFile({ files }: Requirements, file: string): void {
  if (!files.includes(file)) files.push(file)
}

interface Place {
  file: string
  where: string
}

const URL = /^[a-z+-]+:\/\//
const NAMED_URL = /^([\w.-]+)\s*(\[[^\]]*\])?\s*@\s*(.*)$/
const NAMED = /^([A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)\s*(\[[^\]]*\])?\s*($|[<>=!~;(]|--)/

/** Files what the line says; what is wrong with it otherwise. */
export function readLine(reading: Reading, text: string, place: Place): string | undefined {
  const { found } = reading
  if (text.startsWith('-')) return readOptions(reading, text, place)
  const folder = dirname(place.file)
  const [, name, extras, url] = text.match(NAMED_URL) ?? []
  if (url) return addUrl(found, url, { name, extras, folder, text })
  if (URL.test(text)) return addUrl(found, text, { folder, text })
  if (isPath(text)) return addLocal(found, text, { folder })
  const named = text.match(NAMED)
  if (!named) return `"${text}" is not a requirement`
  found.names.push(named[1] ?? '')
  found.lines.push(text)
  return undefined
}

/** Several may be on one line. */
function readOptions(reading: Reading, text: string, place: Place): string | undefined {
  const isAlone = /^(-e|--editable)/.test(text)
  const options = isAlone ? [text] : text.split(/\s+(?=--?[a-z])/)
  return options.map((option) => readOption(reading, option, place)).find((mistake) => mistake)
}

function readOption(reading: Reading, text: string, { file, where }: Place): string | undefined {
  const { found } = reading
  const folder = dirname(file)
  const [, option = '', written = ''] = text.match(/^(--[\w-]+|-\w)\s*=?\s*(.*)$/) ?? []
  const value = written.replace(/^(["'])(.*)\1$/, '$2')
  const path = localPath(value, folder) ?? value
  switch (option) {
    case '-r':
    case '--requirement':
      if (isRemote(value)) return `"${value}" is not read from the network. Keep a copy beside it.`
      readFile(reading, path, where)
      return undefined
    case '-c':
    case '--constraint':
      if (!isRemote(value) && !isFile(path)) return `no constraints file ${path}`
      // No address of a file: of that, pip would take the byte order mark for a part of the first name.
      addOption(found, `-c ${isRemote(value) ? value : JSON.stringify(path)}`)
      if (!isRemote(value)) noteConstraints(found, path)
      return undefined
    case '-f':
    case '--find-links':
      addOption(found, `--find-links ${URL.test(value) ? value : pathToFileURL(path).href}`)
      return undefined
    case '-e':
    case '--editable':
      return URL.test(value) || value.includes(':')
        ? addUrl(found, value, { folder, text })
        : addLocal(found, value, { folder })
    case '--no-binary':
      return readNoBinary(found, value)
    case '--only-binary':
      // pip is asked for wheels alone. A ":none:" after that would have it take sources.
      return undefined
    default:
      addOption(found, text)
      return undefined
  }
}

function isRemote(value: string): boolean {
  return URL.test(value) && !value.startsWith('file:')
}

/** In their order: of two indexes, pip takes the last. */
function addOption({ lines }: Requirements, text: string): void {
  const first = lines.findIndex((line) => !line.startsWith('-'))
  lines.splice(first < 0 ? lines.length : first, 0, text)
}

/** pip reads them itself; what they say is part of what is asked for. */
function noteConstraints(found: Requirements, file: string): void {
  if (found.files.includes(file) || !existsSync(file)) return
  noteFile(found, file)
  for (const { text } of readLogicalLines(file)) {
    const [, nested] = text.match(/^(?:-[cr]|--(?:constraint|requirement))\s*=?\s*(\S+)$/) ?? []
    const path = nested && !isRemote(nested) ? localPath(nested, dirname(file)) : undefined
    if (path) noteConstraints(found, path)
  }
}

function readNoBinary(found: Requirements, value: string): string | undefined {
  if (value === ':all:')
    return '"--no-binary :all:" would build everything here, for another machine; name packages'
  found.noBinary.push(...value.split(',').map((name) => normalizeName(name.trim())))
  return undefined
}
