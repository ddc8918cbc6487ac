import { z } from 'zod'
import { UserError } from '../user-error.ts'
import type { Input, InputLines } from './inputs.ts'
import { readToml } from './read-toml.ts'
import { nameOf } from './requirement-name.ts'
import { normalizeName } from './wheel.ts'

const listed = z.record(z.string(), z.array(z.string()))

const pyproject = z.object({
  project: z
    .object({
      name: z.string().default(''),
      dependencies: z.array(z.string()).default([]),
      dynamic: z.array(z.string()).default([]),
      'optional-dependencies': listed.default({}),
    })
    .optional(),
  'dependency-groups': z
    .record(z.string(), z.array(z.union([z.string(), z.object({ 'include-group': z.string() })])))
    .default({}),
  tool: z
    .object({
      poetry: z.object({ dependencies: z.unknown().optional() }).optional(),
      uv: z.object({ sources: z.record(z.string(), z.unknown()).default({}) }).optional(),
    })
    .optional(),
})
type Pyproject = z.infer<typeof pyproject>

/** The dependencies of the project, and those of its groups and extras that are asked for; not the project itself. */
export function readPyproject({ file, text, groups }: Input): InputLines {
  const content = readToml(pyproject, text, file)
  const { project, tool } = content
  if (!project && tool?.poetry?.dependencies) {
    throw new UserError(
      `${file} has its dependencies in [tool.poetry], which only Poetry reads. Name a file that it writes:\n  poetry export --format requirements.txt --output requirements.txt`,
    )
  }
  if (project?.dynamic.includes('dependencies')) {
    throw new UserError(
      `${file}: its dependencies are "dynamic", found out only when it is built. Name the file that they come from.`,
    )
  }
  const lines = [
    ...(project?.dependencies ?? []).map((line) => ({ text: line, where: 'project.dependencies' })),
    ...groups.flatMap((group) => linesOf(content, group, file)),
  ]
  refuseUvSources(content, lines, file)
  return { lines }
}

function linesOf(
  content: Pyproject,
  group: string,
  file: string,
  within: string[] = [],
): InputLines['lines'] {
  const name = normalizeName(group)
  if (within.includes(name)) throw new UserError(`${file}: the group "${group}" includes itself`)
  const find = <T>(table: Record<string, T>) =>
    Object.entries(table).find(([key]) => normalizeName(key) === name)?.[1]
  const extras = content.project?.['optional-dependencies'] ?? {}
  const entries = find(content['dependency-groups']) ?? find(extras)
  if (!entries) {
    const known = [...Object.keys(content['dependency-groups']), ...Object.keys(extras)]
    throw new UserError(
      `${file}: no group "${group}"; ${known.length > 0 ? `known: ${known.join(', ')}` : 'it has none'}`,
    )
  }
  return entries.flatMap((entry) => {
    if (typeof entry !== 'string') return linesOf(content, entry['include-group'], file, [...within, name])
    // A project may ask for its own extras: "app[web]".
    const [, self, own = ''] = entry.match(/^([\w.-]+)\s*\[([^\]]*)\]\s*$/) ?? []
    if (!self || normalizeName(self) !== normalizeName(content.project?.name ?? ''))
      return [{ text: entry, where: group }]
    return own.split(',').flatMap((extra) => linesOf(content, extra.trim(), file, [...within, name]))
  })
}

/** pip would look for it in an index instead. */
function refuseUvSources({ tool }: Pyproject, lines: InputLines['lines'], file: string): void {
  const sources = Object.keys(tool?.uv?.sources ?? {}).map(normalizeName)
  const own = lines.map(({ text }) => nameOf(text)).filter((name) => sources.includes(name))
  if (own.length === 0) return
  throw new UserError(
    `${file}: [tool.uv.sources] says where ${own.join(', ')} comes from, which only uv reads. Name "uv.lock" as the requirements.`,
  )
}
