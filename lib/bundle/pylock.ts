import { dirname, join } from 'node:path'
import { z } from 'zod'
import { UserError } from '../user-error.ts'
import type { Input, InputLines } from './inputs.ts'
import { whichApply } from './markers.ts'
import { describePlatform, LATE_PATCH } from './platform.ts'
import { readToml } from './read-toml.ts'
import { whyUnfit } from './wheel.ts'

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
  const { text, groups } = input
  const lock = readToml(pylock, text, input.file)
  await refuseOtherPlatform(lock, input)
  const chosen = groups.length > 0 ? groups : lock['default-groups']
  const marked = lock.packages.map((each) => ({ each, marker: withGroups(each.marker, chosen) }))
  const needed = (await whichApply(marked, input)).map(({ each }) => each)
  const indexes = new Set(needed.flatMap(({ index }) => (index && index !== PYPI ? index : [])))
  return {
    lines: [
      ...[...indexes].map((index) => ({ text: `--extra-index-url ${index}`, where: 'index' })),
      ...needed.map((each) => ({ text: lineOf(each, input), where: each.name })),
    ],
  }
}

const PYPI = 'https://pypi.org/simple'

async function refuseOtherPlatform(lock: Pylock, { file, platform, python }: Input): Promise<void> {
  const requires = lock['requires-python']
  // The last patch release: which one a target has is for the target to say.
  const versions = (requires ?? '').split(',').filter(Boolean)
  const marker = versions
    .map((text) => text.trim().match(/^([<>=!~]+)\s*(.*)$/))
    .map((match) => `python_full_version ${match?.[1]} "${match?.[2]}"`)
    .join(' and ')
  const last = { python_full_version: `${platform.python}.${LATE_PATCH}` }
  const [fits] = await whichApply([{ marker }], { platform, python }, last)
  if (!fits) throw new UserError(`${file} is for Python ${requires}, not for ${describePlatform(platform)}`)
  const environments = lock.environments.map((environment) => ({ marker: environment }))
  if (environments.length > 0 && (await whichApply(environments, { platform, python }, last)).length === 0) {
    throw new UserError(
      `${file} is for ${lock.environments.join(' or ')}, not for ${describePlatform(platform)}`,
    )
  }
}

/** Older implementations of markers do not know of groups and extras: here they are true or false already. */
function withGroups(marker: string, chosen: readonly string[]): string {
  return marker.replace(
    /(['"])([^'"]+)\1\s+(not\s+)?in\s+(?:dependency_groups|extras)/g,
    (_, _quote, group, not) =>
      chosen.includes(group) === !not ? 'python_version > "0"' : 'python_version < "0"',
  )
}

function lineOf(
  { name, version, wheels, sdist, archive, directory, vcs }: Package,
  { file, platform }: Input,
): string {
  const folder = dirname(file)
  if (directory) return join(folder, directory.path, directory.subdirectory)
  if (vcs) {
    const url = vcs.url ?? `file://${join(folder, vcs.path ?? '')}`
    return `${name} @ ${vcs.type}+${url}@${vcs['commit-id']}${vcs.subdirectory ? `#subdirectory=${vcs.subdirectory}` : ''}`
  }
  if (archive)
    return archive.path
      ? `${join(folder, archive.path)}${hashesOf([archive])}`
      : `${name} @ ${archive.url}${hashesOf([archive])}`
  const near = wheels.find(({ path }) => path && whyUnfit(path, platform) === undefined)
  if (near?.path) return `${join(folder, near.path)}${hashesOf([near])}`
  if (!version && sdist?.path) return join(folder, sdist.path)
  return `${name}==${version}${hashesOf([...wheels, ...(sdist ? [sdist] : [])])}`
}

function hashesOf(files: readonly z.infer<typeof file>[]): string {
  return files.flatMap(({ hashes }) => (hashes.sha256 ? ` --hash=sha256:${hashes.sha256}` : [])).join('')
}
