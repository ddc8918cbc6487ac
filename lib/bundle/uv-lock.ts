import { dirname, join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../user-error.ts'
import type { Input, InputLines } from './inputs.ts'
import { whichApply } from './markers.ts'
import { readToml } from './read-toml.ts'
import { normalizeName } from './wheel.ts'

const edge = z.object({
  name: z.string(),
  version: z.string().optional(),
  source: z.record(z.string(), z.string()).optional(),
  extra: z.array(z.string()).default([]),
  marker: z.string().default(''),
})
const edges = z.array(edge)
const edgesByName = z.record(z.string(), edges)
const file = z.object({ url: z.string().optional(), hash: z.string().optional() })

const lock = z.object({
  version: z.literal(1, 'only version 1 of the format is known here'),
  package: z
    .array(
      z.object({
        name: z.string(),
        version: z.string().default(''),
        source: z.record(z.string(), z.string()),
        dependencies: edges.default([]),
        'optional-dependencies': edgesByName.default({}),
        'dev-dependencies': edgesByName.default({}),
        sdist: file.optional(),
        wheels: z.array(file).default([]),
      }),
    )
    .default([]),
})
type Edge = z.infer<typeof edge>
type Package = z.infer<typeof lock>['package'][number]

/** What the platform needs of the lock, with the hashes of every file of it; not the project itself. */
export async function readUvLock({ file, text, groups, platform, python }: Input): Promise<InputLines> {
  const { package: packages } = readToml(lock, text, file)
  const root = packages.find(({ source }) =>
    [source.virtual, source.editable, source.directory].includes('.'),
  )
  if (!root)
    throw new UserError(
      `${file}: no package of it is the project itself. Run uv lock in the project's folder.`,
    )
  const direct = await whichApply(
    [...root.dependencies, ...groups.flatMap((group) => groupOf(root, group, file))],
    { platform, python },
  )
  const all = packages
    .flatMap((each) => [each.dependencies, ...Object.values(each['optional-dependencies'])])
    .flat()
  const applying = new Set(await whichApply(all, { platform, python }))
  const found = walk(direct, packages, (candidate) => applying.has(candidate))
  return {
    lines: [
      ...indexesOf(found).map((text) => ({ text, where: 'source' })),
      ...found.flatMap((each) => lineOf(each, dirname(file))).map((text) => ({ text, where: 'package' })),
    ],
    roots: direct.map(({ name }) => name),
  }
}

function groupOf(root: Package, group: string, file: string): Edge[] {
  const tables = [root['dev-dependencies'], root['optional-dependencies']]
  const named = tables
    .flatMap((table) => Object.entries(table))
    .find(([name]) => normalizeName(name) === normalizeName(group))
  if (named) return named[1]
  const known = tables.flatMap(Object.keys)
  throw new UserError(
    `${file}: no group "${group}"; ${known.length > 0 ? `known: ${known.join(', ')}` : 'it has none'}`,
  )
}

function walk(
  direct: readonly Edge[],
  packages: readonly Package[],
  applies: (edge: Edge) => boolean,
): Package[] {
  const found = new Set<Package>()
  const visited = new Set<string>()
  const queue = [...direct]
  for (const wanted of queue) {
    const target = packages.find((candidate) => isMeant(wanted, candidate))
    if (!target) continue
    found.add(target)
    for (const part of ['', ...wanted.extra]) {
      const key = `${target.name} ${target.version} ${part}`
      if (visited.has(key)) continue
      visited.add(key)
      const needs = part ? (target['optional-dependencies'][part] ?? []) : target.dependencies
      queue.push(...needs.filter(applies))
    }
  }
  return [...found]
}

/** Version and source are named only where the lock has several packages of one name. */
function isMeant({ name, version, source }: Edge, candidate: Package): boolean {
  if (name !== candidate.name || (version && version !== candidate.version)) return false
  return !source || JSON.stringify(source) === JSON.stringify(candidate.source)
}

const PYPI = 'https://pypi.org/simple'

/** The user's own index may stand in for PyPI; any other is asked beside it. */
function indexesOf(packages: readonly Package[]): string[] {
  const registries = new Set(packages.flatMap(({ source }) => source.registry ?? []))
  registries.delete(PYPI)
  return [...registries].map((registry) =>
    /^https?:/.test(registry) ? `--extra-index-url ${registry}` : `--find-links ${registry}`,
  )
}

function lineOf({ name, version, source, sdist, wheels }: Package, folder: string): string[] {
  const hashes = [sdist, ...wheels].flatMap((each) => (each?.hash ? ` --hash=${each.hash}` : [])).join('')
  const local = source.directory ?? source.editable ?? source.path
  if (source.registry) return [`${name}==${version}${hashes}`]
  if (source.git) return [`${name} @ ${gitAddress(source.git)}`]
  if (source.url) return [`${name} @ ${source.url}${hashes}`]
  return local ? [join(folder, local)] : []
}

/** `https://host/repository?subdirectory=x&rev=main#commit` */
function gitAddress(written: string): string {
  const [address = '', commit = ''] = written.split('#')
  const [url = '', query = ''] = address.split('?')
  const subdirectory = new URLSearchParams(query).get('subdirectory')
  return `git+${url}@${commit}${subdirectory ? `#subdirectory=${subdirectory}` : ''}`
}
