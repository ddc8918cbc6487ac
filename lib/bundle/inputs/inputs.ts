import { existsSync, readFileSync } from 'node:fs'
import { basename, relative, resolve } from 'node:path'
import { UserError } from '../../user-error.ts'
import type { Python } from '../find-python.ts'
import type { Platform } from '../platform.ts'
import { readBuildout } from './buildout.ts'
import { readPylock } from './pylock.ts'
import { readPyproject } from './pyproject.ts'
import {
  finishReading,
  type Reading,
  type Requirements,
  readLine,
  readRequirements,
  startReading,
} from './requirements.ts'
import { readUvLock } from './uv-lock.ts'

/** Where dependencies are read from, and for whom. */
export interface Input {
  /** Absolute. */
  file: string
  text: string
  /** Beside the dependencies that everybody needs. */
  groups: readonly string[]
  platform: Platform
  python: Python
}

/** What one of the formats comes down to: lines as a requirements file has them. */
export interface InputLines {
  /** Each with what a mistake in it is called. */
  lines: { text: string; where: string }[]
  /** What is asked for itself, where the lines are a whole lock. */
  roots?: string[]
  /** Versions of what the dependencies need: `name==1.0`. */
  constraints?: string[]
  /** Further files that were read. */
  files?: string[]
}

const FORMATS: [pattern: RegExp, read: (input: Input) => InputLines | Promise<InputLines>][] = [
  [/^pyproject\.toml$/, readPyproject],
  [/^uv\.lock$/, readUvLock],
  [/^pylock(\.[^.]+)?\.toml$/, readPylock],
  [/^(?!setup\.cfg$).*\.cfg$/, readBuildout],
]

/** Locks that only their own tool can read, and how it writes one that others can. */
const FOREIGN: Record<string, string> = {
  'poetry.lock': 'poetry export --format requirements.txt --output requirements.txt',
  'Pipfile.lock': 'pipenv requirements > requirements.txt',
  'pdm.lock': 'pdm export --format pylock --output pylock.toml',
}

/** Reads what the configuration names: `requirements.txt`, `uv.lock`, `pyproject.toml[group,...]` and the like. */
export async function readInputs(
  folder: string,
  named: string,
  { platform, python }: { platform: Platform; python: Python },
): Promise<Requirements> {
  const [, path = named, list = ''] = named.match(/^(.*\.(?:toml|lock))\[(.*)\]$/) ?? []
  const groups = list
    .split(',')
    .map((group) => group.trim())
    .filter(Boolean)
  const file = resolve(folder, path)
  const command = FOREIGN[basename(file)]
  if (command) {
    throw new UserError(
      `${file} is read by its own tool only. Write a file that others read, and name that in the configuration's "requirements":\n  ${command}`,
    )
  }
  const [, read] = FORMATS.find(([pattern]) => pattern.test(basename(file))) ?? []
  if (!read || !existsSync(file)) return readRequirements(folder, path)
  const reading = startReading(folder)
  await fill(reading, read, { file, text: readFileSync(file, 'utf8'), groups, platform, python })
  return finishReading(reading, file)
}

async function fill(reading: Reading, read: (typeof FORMATS)[number][1], input: Input): Promise<void> {
  const { lines, roots, constraints = [], files = [] } = await read(input)
  const { found, mistakes, folder } = reading
  found.files.push(input.file, ...files)
  found.constraints.push(...constraints)
  for (const { text, where } of lines) {
    const place = { file: input.file, where: `${relative(folder, input.file)}: ${where}` }
    const mistake = readLine(reading, text, place)
    if (mistake) mistakes.push(`${place.where}: ${mistake}`)
  }
  if (roots) found.names = roots
}
