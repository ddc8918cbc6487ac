import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { UserError } from '../user-error.ts'
import type { Input, InputLines } from './inputs.ts'
import { normalizeName } from './wheel.ts'

type Sections = Map<string, Map<string, string>>

/** The eggs of a buildout's parts, its develop eggs, and the versions that it pins. */
export function readBuildout({ file, text }: Input): InputLines {
  const files: string[] = []
  const sections = readSections(file, text, files)
  const get = (section: string, key: string) =>
    expand(sections, section, sections.get(section)?.get(key) ?? '', file)
  const parts = words(get('buildout', 'parts'))
  const eggs = ['buildout', ...parts].flatMap((part) => listOf(get(part, 'eggs')))
  const pins = sections.get(get('buildout', 'versions') || 'versions') ?? []
  // However it is spelled: a later file's pin replaces that of what it extends.
  const versions = new Map([...pins].map(([name, version]) => [normalizeName(name), version]))
  const index = get('buildout', 'index')
  const lines = [
    ...(index ? [`--index-url ${index}`] : []),
    ...words(get('buildout', 'find-links')).map((place) => `--find-links ${place}`),
    ...words(get('buildout', 'develop')).map((path) => resolve(dirname(file), path)),
    ...new Set(eggs),
  ]
  return {
    lines: lines.map((line) => ({ text: line, where: 'eggs' })),
    constraints: [...versions].filter(([, version]) => version).map(([name, version]) => pin(name, version)),
    files,
  }
}

function pin(name: string, version: string): string {
  return /^[<>=!~]/.test(version) ? `${name}${version}` : `${name}==${version}`
}

/** What a file extends comes first: its own settings replace those, or add to them with "+=". */
function readSections(file: string, text: string, files: string[]): Sections {
  const own = parseSettings(text)
  const sections: Sections = new Map()
  const extended = own.filter(({ section, key }) => section === 'buildout' && key === 'extends')
  for (const name of words(extended.map(({ value }) => value).join('\n'))) {
    if (/^\w+:\/\//.test(name))
      throw new UserError(
        `${file}: extends "${name}", which is not read from the network. Keep a copy beside it.`,
      )
    const path = resolve(dirname(file), name)
    if (files.includes(path)) continue
    if (!existsSync(path)) throw new UserError(`${file}: extends "${name}", which is not there`)
    files.push(path)
    for (const [section, settings] of readSections(path, readFileSync(path, 'utf8'), files)) {
      sections.set(section, new Map([...(sections.get(section) ?? []), ...settings]))
    }
  }
  for (const { section, key, sign, value } of own) {
    const settings = sections.get(section) ?? new Map<string, string>()
    sections.set(section, settings.set(key, combine(settings.get(key) ?? '', sign, value)))
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

interface Setting {
  section: string
  key: string
  sign: string
  value: string
}

function parseSettings(text: string): Setting[] {
  const settings: Setting[] = []
  let section = ''
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*([#;]|$)/.test(line)) continue
    const last = settings.at(-1)
    const [, title] = line.match(/^\[([^\]:]+).*\]/) ?? []
    const [, key = '', sign = '', value = ''] =
      line.match(/^(\S[^=+-]*?(?:[+-](?!\s*=)[^=+-]*?)*)\s*([+-]?)\s*=\s*(.*)$/) ?? []
    if (title) section = title.trim()
    else if (key) settings.push({ section, key: key.trim(), sign, value: value.trim() })
    else if (/^\s/.test(line) && last) last.value = `${last.value}\n${line.trim()}`
  }
  return settings
}

/** `${section:key}`, and `${:key}` of the same section. */
function expand(sections: Sections, section: string, value: string, file: string, depth = 0): string {
  if (depth > 20) throw new UserError(`${file}: the settings of [${section}] refer to each other in a circle`)
  return value.replace(/\$\{([^:}]*):([^}]+)\}/g, (_, named, key) => {
    const other = named || section
    if (other === 'buildout' && key === 'directory') return dirname(file)
    const found = sections.get(other)?.get(key)
    if (found === undefined)
      throw new UserError(`${file}: [${section}] refers to \${${other}:${key}}, which is not there`)
    return expand(sections, other, found, file, depth + 1)
  })
}

function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean)
}

/** Requirements are one a line; blanks may be within. */
function listOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/\s#.*$/, '').trim())
    .filter(Boolean)
}
