import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { UserError } from '../../user-error.ts'
import { ALWAYS, NEVER, whichApply } from '../markers.ts'
import { normalizeName, whyUnfit } from '../wheel.ts'
import type { Input, InputLines } from './inputs.ts'
import { refuseOtherPlatform } from './lock-platform.ts'
import { refuseUnfitWheels } from './lock-wheels.ts'
import { readToml } from './read-toml.ts'

const file = z.object({
  name: z.string().optional(),
  url: z.string().optional(),
  path: z.string().optional(),
  subdirectory: z.string().optional(),
  hashes: z.record(z.string(), z.string()).default({}),
})

/** PEP 751 */
const pylock = z.object({
  'lock-version': z.string().regex(/^1\./, 'only version 1 of the format is known here'),
  'requires-python': z.string().optional(),
  environments: z.array(z.string()).default([]),
  extras: z.array(z.string()).default([]),
  'dependency-groups': z.array(z.string()).default([]),
  'default-groups': z.array(z.string()).default([]),
  packages: z.array(
    z.object({
      name: z.string(),
      version: z.string().optional(),
      marker: z.string().default(''),
      index: z.string().optional(),
      wheels: z.array(file).default([]),
      sdist: file.optional(),
      archive: file.optional(),
      directory: z.object({ path: z.string(), subdirectory: z.string().default('') }).optional(),
      vcs: z
        .object({
          type: z.string(),
          url: z.string().optional(),
          path: z.string().optional(),
          'commit-id': z.string(),
          subdirectory: z.string().optional(),
        })
        .optional(),
    }),
  ),
})
type Pylock = z.infer<typeof pylock>
type Package = Pylock['packages'][number]

/** What the platform needs of the lock, with the hashes of its files. */
export async function readPylock(input: Input): Promise<InputLines> {
  const lock = readToml(pylock, input.text, input.file)
  const purpose = { requiresPython: lock['requires-python'], environments: lock.environments }
  await refuseOtherPlatform(purpose, input)
  refuseUnknownGroups(lock, input)
  const chosen = [...lock['default-groups'], ...input.groups].map(normalizeName)
  const marked = lock.packages.map((each) => ({ each, marker: withGroups(each.marker, chosen) }))
  const needed = (await whichApply(marked, input)).map(({ each }) => each)
  refuseUnfitWheels(needed, input)
  const indexes = new Set(needed.flatMap(({ index }) => (index && index !== PYPI ? index : [])))
  return {
    lines: [
      ...[...indexes].map((index) => ({ text: `--extra-index-url ${index}`, where: 'index' })),
      ...needed.map((each) => ({ text: lineOf(each, input), where: each.name })),
    ],
  }
}

const PYPI = 'https://pypi.org/simple'

function refuseUnknownGroups(lock: Pylock, { file, groups }: Input): void {
  const named = lock.packages.flatMap(({ marker }) =>
    [...marker.matchAll(GROUP)].map((match) => match[2] ?? ''),
  )
  const known = [...new Set([...lock['dependency-groups'], ...lock.extras, ...named].map(normalizeName))]
  const unknown = groups.find((group) => !known.includes(normalizeName(group)))
  if (unknown === undefined) return
  throw new UserError(
    `${file}: no group "${unknown}"; ${known.length > 0 ? `known: ${known.join(', ')}` : 'it has none'}`,
  )
}

const GROUP = /(['"])([^'"]+)\1\s+(not\s+)?in\s+(?:dependency_groups|extras)/g

/** Older implementations of markers do not know of groups and extras: here they are true or false already. */
function withGroups(marker: string, chosen: readonly string[]): string {
  return marker.replace(GROUP, (_, _quote, group, not) =>
    chosen.includes(normalizeName(group)) === !not ? ALWAYS : NEVER,
  )
}

function lineOf(
  { name, version, wheels, sdist, archive, directory, vcs }: Package,
  { file, platform }: Input,
): string {
  const folder = dirname(file)
  if (directory) return join(folder, directory.path, directory.subdirectory)
  if (vcs) {
    const fragment = vcs.subdirectory ? `#subdirectory=${vcs.subdirectory}` : ''
    const url = vcs.url ?? pathToFileURL(join(folder, vcs.path ?? '')).href
    return `${name} @ ${vcs.type}+${url}@${vcs['commit-id']}${fragment}`
  }
  if (archive) {
    const fragment = archive.subdirectory ? `#subdirectory=${archive.subdirectory}` : ''
    const url = archive.path ? pathToFileURL(join(folder, archive.path)).href : archive.url
    return `${name} @ ${url}${fragment}${hashesOf([archive])}`
  }
  const near = wheels.find(({ path }) => path && whyUnfit(path, platform) === undefined)
  if (near?.path) return `${join(folder, near.path)}${hashesOf([near])}`
  if (sdist?.path) return `${join(folder, sdist.path)}${hashesOf([sdist])}`
  if (!version) throw new UserError(`${file}: "${name}" has neither a version nor a place`)
  return `${name}==${version}${hashesOf([...wheels, ...(sdist ? [sdist] : [])])}`
}

/** Of those that pip takes. */
function hashesOf(files: readonly z.infer<typeof file>[]): string {
  return files
    .flatMap(({ hashes }) => Object.entries(hashes))
    .filter(([algorithm]) => /^sha(256|384|512)$/.test(algorithm))
    .map(([algorithm, digest]) => ` --hash=${algorithm}:${digest}`)
    .join('')
}
