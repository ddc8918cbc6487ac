import { UserError } from '../../user-error.ts'
import { normalizeName } from '../wheel.ts'
import { POETRY_EXPORT, refuseForeign } from './foreign-tools.ts'
import type { Input, InputLines } from './inputs.ts'
import { refuseOtherPlatform } from './lock-platform.ts'
import { type Pyproject, pyproject } from './pyproject-file.ts'
import { readToml } from './read-toml.ts'

/** The dependencies of the project, and those of its groups and extras that are asked for; not the project itself. */
export async function readPyproject(input: Input): Promise<InputLines> {
  const { file, text, groups } = input
  const content = readToml(pyproject, text, file)
  const { project } = content
  refuseDynamic(content, groups, file)
  await refuseOtherPlatform({ requiresPython: project?.['requires-python'] }, input)
  const lines = [
    ...(project?.dependencies ?? []).flatMap((line) =>
      ownExtras(content, line, 'project.dependencies', file),
    ),
    ...groups.flatMap((group) => linesOf(content, group, file)),
  ]
  refuseForeign(content, lines, file)
  return { lines }
}

function refuseDynamic({ project, tool }: Pyproject, groups: readonly string[], file: string): void {
  const dynamic = project?.dynamic ?? []
  const asked = ['dependencies', ...(groups.length > 0 ? ['optional-dependencies'] : [])]
  const unknown = asked.find((key) => dynamic.includes(key))
  if (tool?.poetry?.dependencies && (!project || unknown)) {
    throw new UserError(
      `${file} has its dependencies in [tool.poetry], which only Poetry reads. ${POETRY_EXPORT}`,
    )
  }
  if (!unknown) return
  throw new UserError(
    `${file}: its ${unknown} are "dynamic", found out only when it is built. Name the file that they come from.`,
  )
}

type Lines = InputLines['lines']

/** A group and an extra may have one name: then both are meant. */
function linesOf(content: Pyproject, group: string, file: string): Lines {
  const groups = content['dependency-groups']
  const extras = content.project?.['optional-dependencies'] ?? {}
  const inGroup = find(groups, group)
  const inExtra = find(extras, group)
  if (inGroup || inExtra) {
    return [
      ...(inGroup ? groupLines(content, group, file) : []),
      ...(inExtra ? extraLines(content, group, file) : []),
    ]
  }
  const known = [...Object.keys(groups), ...Object.keys(extras)]
  throw new UserError(
    `${file}: no group "${group}"; ${known.length > 0 ? `known: ${known.join(', ')}` : 'it has none'}`,
  )
}

function find<T>(table: Record<string, T>, name: string): T | undefined {
  return Object.entries(table).find(([key]) => normalizeName(key) === normalizeName(name))?.[1]
}

function groupLines(content: Pyproject, group: string, file: string, within: string[] = []): Lines {
  const inside = enter('group', group, file, within)
  const entries = find(content['dependency-groups'], group)
  if (!entries) throw new UserError(`${file}: includes the group "${group}", which it has not`)
  return entries.flatMap((entry) =>
    typeof entry === 'string'
      ? ownExtras(content, entry, group, file)
      : groupLines(content, entry['include-group'], file, inside),
  )
}

function extraLines(content: Pyproject, extra: string, file: string, within: string[] = []): Lines {
  const inside = enter('extra', extra, file, within)
  const entries = find(content.project?.['optional-dependencies'] ?? {}, extra)
  if (!entries) throw new UserError(`${file}: asks for its own extra "${extra}", which it has not`)
  return entries.flatMap((entry) => ownExtras(content, entry, extra, file, inside))
}

function enter(what: string, name: string, file: string, within: readonly string[]): string[] {
  const normalized = normalizeName(name)
  if (within.includes(normalized)) throw new UserError(`${file}: the ${what} "${name}" includes itself`)
  return [...within, normalized]
}

/** A project may ask for its own extras, "app[web]": an index may have a stranger of its name. */
function ownExtras(
  content: Pyproject,
  text: string,
  where: string,
  file: string,
  within: string[] = [],
): Lines {
  const [, name = '', extras = '', marker = ''] =
    text.match(/^([\w.-]+)\s*\[([^\]]*)\]\s*(?:;\s*(.*))?$/) ?? []
  if (!name || normalizeName(name) !== normalizeName(content.project?.name ?? '')) return [{ text, where }]
  return extras
    .split(',')
    .flatMap((extra) => extraLines(content, extra.trim(), file, within))
    .map((line) => ({ ...line, text: withMarker(line.text, marker) }))
}

function withMarker(text: string, marker: string): string {
  const [, requirement = '', own] = text.match(/^(.*?)(?:\s*;\s*(.*))?$/) ?? []
  if (!marker) return text
  return `${requirement} ; ${own ? `(${own}) and ` : ''}(${marker})`
}
