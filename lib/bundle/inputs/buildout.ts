import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { UserError } from '../../user-error.ts'
import { whichApply } from '../markers.ts'
import { normalizeName } from '../wheel.ts'
import { parseBuildout, type Setting } from './buildout-settings.ts'
import type { Input, InputLines } from './inputs.ts'

/** Settings by section and key. */
type Sections = Map<string, Map<string, string>>

/** The eggs of a buildout's parts, its develop eggs, and the versions that it pins. */
export async function readBuildout(input: Input): Promise<InputLines> {
  const { file, text } = input
  const layers = readLayers(file, text)
  const settings = layers.flatMap((layer) => layer.settings)
  const sections = merge(await whichApply(settings, input))
  const get = (section: string, key: string) => readSetting(sections, { section, key, file }) ?? ''
  refuseCheckouts(get('buildout', 'auto-checkout'), file)
  const parts = words(get('buildout', 'parts'))
  const pins = sections.get(get('buildout', 'versions') || 'versions') ?? []
  // However it is spelled: a later file's pin replaces that of what it extends.
  const versions = new Map([...pins].map(([name, version]) => [normalizeName(name), version]))
  const index = get('buildout', 'index')
  const lines = [
    ...(index ? [`--index-url ${index}`] : []),
    ...words(get('buildout', 'find-links')).map((place) => `--find-links ${place}`),
    ...words(get('buildout', 'develop')).flatMap((path) => developed(dirname(file), path)),
    ...new Set([...listOf(get('buildout', 'eggs')), ...parts.flatMap((part) => eggsOf(part, get))]),
  ]
  return {
    lines: lines.map((line) => ({ text: line, where: 'eggs' })),
    constraints: [...versions].filter(([, version]) => version).map(([name, version]) => pin(name, version)),
    files: [...new Set(layers.map((layer) => layer.file))].filter((path) => path !== file),
  }
}

type Get = (section: string, key: string) => string

/** The recipe for scripts takes the part's own name for an egg where it names none. */
function eggsOf(part: string, get: Get): string[] {
  const eggs = listOf(get(part, 'eggs') || get(part, 'egg'))
  return eggs.length === 0 && /^zc\.recipe\.egg(:|$)/.test(get(part, 'recipe')) ? [part] : eggs
}

function pin(name: string, version: string): string {
  return /^[<>=!~]/.test(version) ? `${name}${version}` : `${name}==${version}`
}

function developed(folder: string, path: string): string[] {
  return path.includes('*') ? globSync(join(folder, path)).sort() : [resolve(folder, path)]
}

function refuseCheckouts(names: string, file: string): void {
  if (!names) return
  throw new UserError(
    `${file}: "auto-checkout" asks mr.developer for ${words(names).join(', ')}. Name the folders in "develop", or write a requirements file.`,
  )
}

interface Layer {
  file: string
  settings: Setting[]
}

/** What a file extends comes before it, as often as it is extended: each replaces what came before, or adds to it. */
function readLayers(file: string, text: string, within: readonly string[] = []): Layer[] {
  if (within.includes(file)) throw new UserError(`${file}: extends itself`)
  const settings = parseBuildout(text)
  const extended = settings.filter(({ section, key }) => section === 'buildout' && key === 'extends')
  const inner = words(extended.map(({ value }) => value).join('\n')).flatMap((name) => {
    if (/^\w+:\/\//.test(name))
      throw new UserError(
        `${file}: extends "${name}", which is not read from the network. Keep a copy beside it.`,
      )
    const path = resolve(dirname(file), name)
    if (!existsSync(path)) throw new UserError(`${file}: extends "${name}", which is not there`)
    return readLayers(path, readFileSync(path, 'utf8'), [...within, file])
  })
  return [...inner, { file, settings }]
}

function merge(settings: readonly Setting[]): Sections {
  const sections: Sections = new Map()
  for (const { section, key, sign, value } of settings) {
    const found = sections.get(section) ?? new Map<string, string>()
    sections.set(section, found)
    // What adds to nothing here may add to what the section takes from another with "<=".
    if (sign && !found.has(key)) found.set(`${key}${sign}`, value)
    else found.set(key, combine(found.get(key) ?? '', sign, value))
  }
  return sections
}

function combine(before: string, sign: string, value: string): string {
  if (sign === '+') return `${before}\n${value}`
  if (sign !== '-') return value
  const gone = listOf(value)
  return listOf(before)
    .filter((line) => !gone.includes(line))
    .join('\n')
}

interface Place {
  section: string
  key: string
  file: string
}

/** With `${section:key}`, and `${:key}` of the same section, filled in. */
function readSetting(sections: Sections, { section, key, file }: Place, depth = 0): string | undefined {
  if (depth > DEEPEST)
    throw new UserError(`${file}: the settings of [${section}] refer to each other in a circle`)
  return inherited(sections, section, key)?.replace(/\$\{([^:}]*):([^}]+)\}/g, (_, named, key) => {
    const other = named || section
    if (other === 'buildout' && key === 'directory') return dirname(file)
    const found = readSetting(sections, { section: other, key, file }, depth + 1)
    if (found !== undefined) return found
    throw new UserError(`${file}: [${section}] refers to \${${other}:${key}}, which is not there`)
  })
}

/** As it is written in the section, or in those that it names with "<=". */
function inherited(sections: Sections, section: string, key: string, depth = 0): string | undefined {
  const own = sections.get(section)
  const value = own?.get(key)
  if (value !== undefined || !own || depth > DEEPEST) return value
  const bases = words(own.get('<') ?? '').map((base) => inherited(sections, base, key, depth + 1))
  const base = bases.findLast((found) => found !== undefined)
  return ['+', '-'].reduce((found, sign) => {
    const change = own.get(`${key}${sign}`)
    return change === undefined ? found : combine(found ?? '', sign, change)
  }, base)
}

const DEEPEST = 20

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean)
}

/** Requirements are one a line; blanks may be within. */
function listOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
    .filter(Boolean)
}
