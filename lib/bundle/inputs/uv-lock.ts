import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../../user-error.ts'
import { ALWAYS, NEVER, whichApply } from '../markers.ts'
import { normalizeName } from '../wheel.ts'
import type { Input, InputLines } from './inputs.ts'
import { refuseOtherPlatform } from './lock-platform.ts'
import { refuseUnfitWheels } from './lock-wheels.ts'
import { readToml } from './read-toml.ts'
import { nameOf } from './requirement-name.ts'
import { type Edge, lock, type Package } from './uv-lock-file.ts'

/** What the platform needs of the lock, with the hashes of every file of it; not the project itself. */
export async function readUvLock(input: Input): Promise<InputLines> {
  const { file, text, groups } = input
  const content = readToml(lock, text, file)
  const packages = content.package
  const purpose = { requiresPython: content['requires-python'], environments: content['supported-markers'] }
  await refuseOtherPlatform(purpose, input)
  const root = packages.find(isRoot)
  if (!root)
    throw new UserError(
      `${file}: no package of it is the project itself. Run uv lock in the folder of the project, which must have a [project] table.`,
    )
  refuseStale(root, file)
  const asked = [...root.dependencies, ...groups.flatMap((group) => groupOf(root, group, file))]
  const all = packages.flatMap((each) => [each.dependencies, ...Object.values(each['optional-dependencies'])])
  const marked = [...asked, ...all.flat()].map((edge) => ({
    edge,
    marker: withChoice(edge.marker, root, groups),
  }))
  const applying = new Set((await whichApply(marked, input)).map(({ edge }) => edge))
  const direct = asked.filter((edge) => applying.has(edge))
  const found = walk(direct, packages, (edge) => applying.has(edge))
  refuseUnfitWheels(found, input)
  return {
    lines: [
      ...indexesOf(found).map((text) => ({ text, where: 'source' })),
      ...found.flatMap((each) => lineOf(each, dirname(file))).map((text) => ({ text, where: 'package' })),
    ],
    roots: direct.map(({ name }) => name),
  }
}

function isRoot({ source }: Package): boolean {
  return [source.virtual, source.editable, source.directory].includes('.')
}

const project = z.object({
  project: z.object({ dependencies: z.array(z.string()).default([]) }).optional(),
})

/** uv itself would lock again. */
function refuseStale({ metadata }: Package, file: string): void {
  const beside = join(dirname(file), 'pyproject.toml')
  if (!metadata || !existsSync(beside)) return
  const asked = readToml(project, readFileSync(beside, 'utf8'), beside).project?.dependencies ?? []
  const known = metadata['requires-dist'].map(({ name }) => normalizeName(name))
  const unknown = asked.map(nameOf).filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  throw new UserError(`${file} was written before ${beside} asked for ${unknown.join(', ')}. Run uv lock.`)
}

/** A group and an extra may have one name: then both are meant. */
function groupOf(root: Package, group: string, file: string): Edge[] {
  const tables = [root['dev-dependencies'], root['optional-dependencies']]
  const isNamed = (name: string) => normalizeName(name) === normalizeName(group)
  const { 'provides-extras': extras = [], 'requires-dev': dev = {} } = root.metadata ?? {}
  const known = new Set([...tables.flatMap((table) => Object.keys(table)), ...extras, ...Object.keys(dev)])
  if ([...known].some(isNamed))
    return tables.flatMap(Object.entries<Edge[]>).flatMap(([name, edges]) => (isNamed(name) ? edges : []))
  throw new UserError(
    `${file}: no group "${group}"; ${known.size > 0 ? `known: ${[...known].join(', ')}` : 'it has none'}`,
  )
}

/**
 * Where extras or groups conflict, uv has the choice in its markers: `extra == 'extra-3-app-cpu'`, the number being the
 * length of the name that follows.
 */
function withChoice(marker: string, { name }: Package, groups: readonly string[]): string {
  const chosen = groups
    .map(normalizeName)
    .flatMap((group) => ['extra', 'group'].map((kind) => `${kind}-${name.length}-${name}-${group}`))
  return marker.replace(/extra\s*([!=]=)\s*'((?:extra|group|project)-\d+-[^']+)'/g, (_, operator, choice) =>
    chosen.includes(choice) === (operator === '==') ? ALWAYS : NEVER,
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
  if (source.url) return [`${name} @ ${source.url}${fragmentOf(source.subdirectory)}${hashes}`]
  return local ? [`${join(folder, local)}${source.path ? hashes : ''}`] : []
}

/** `https://host/repository?subdirectory=x&rev=main#commit` */
function gitAddress(written: string): string {
  const [address = '', commit = ''] = written.split('#')
  const [url = '', query = ''] = address.split('?')
  const subdirectory = new URLSearchParams(query).get('subdirectory')
  return `git+${url}@${commit}${fragmentOf(subdirectory)}`
}

function fragmentOf(subdirectory: string | null | undefined): string {
  return subdirectory ? `#subdirectory=${subdirectory}` : ''
}
