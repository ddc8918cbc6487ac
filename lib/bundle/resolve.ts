import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { UserError } from '../user-error.ts'
import { type BuiltSource, buildLocalSources } from './build-local.ts'
import type { Python } from './find-python.ts'
import { markerEnvironment } from './markers.ts'
import type { BundleParts } from './pack.ts'
import { runPip } from './pip.ts'
import { describePlatform, type Platform } from './platform.ts'
import type { Requirements } from './requirements.ts'
import { platformTags } from './tags.ts'
import { normalizeName, parseWheelName, whyUnfit } from './wheel.ts'

export interface ResolveJob {
  requirements: Requirements
  platform: Platform
  python: Python
  /** A folder that outlives the run. */
  cache: string
  report: (line: string) => void
}

/** Finds a wheel for everything that the requirements need on the platform; files go below `folder`. */
export async function resolveWheels(job: ResolveJob, folder: string): Promise<BundleParts> {
  const built = await buildLocalSources(job)
  refuseUnfit(
    built.map(({ wheel }) => wheel),
    job.platform,
  )
  job.report(`resolving for ${describePlatform(job.platform)}`)
  const wheels = await downloadWheels(job, built, join(folder, 'wheels'))
  refuseUnfit(wheels, job.platform)
  return {
    platform: job.platform,
    roots: rootsOf(job.requirements, built, wheels),
    wheels,
    pip: await pipFor(job, join(folder, 'tools')),
  }
}

async function downloadWheels(job: ResolveJob, built: BuiltSource[], folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true })
  const input = join(folder, '..', 'requirements.in')
  await writeFile(input, [...job.requirements.lines, ...built.map(formatBuilt)].join('\n'))
  const args = ['download', '--dest', folder, ...platformArguments(job.platform), '-r', input]
  const { python, cache } = job
  const run = { python, cache, markers: markerEnvironment(job.platform), cwd: folder }
  if (!(await isComplete(job, () => runPip(args, { ...run, useIndex: false })))) {
    job.report('asking the package index')
    try {
      await runPip(args, { ...run, useIndex: true })
    } catch (error) {
      throw explain(error, job.platform)
    }
  }
  return (await readdir(folder)).map((file) => join(folder, file))
}

/** Where all requirements are local, what they need may be local too: then no index is asked. */
async function isComplete({ requirements }: ResolveJob, resolve: () => Promise<void>): Promise<boolean> {
  if (requirements.lines.length > 0) return false
  try {
    await resolve()
    return true
  } catch (error) {
    if (error instanceof UserError) return false
    throw error
  }
}

/** Named by file, a local wheel cannot be taken over by a package of its name in an index. */
function formatBuilt({ wheel, extras, marker }: BuiltSource): string {
  const name = parseWheelName(wheel)?.name
  const url = pathToFileURL(wheel).href
  return `${name}${extras} @ ${url}${marker && ` ; ${marker}`}`
}

/**
 * A platform names no patch release. What excludes early ones (`!=3.9.0`) must be found; a target that has one
 * refuses it itself. Markers are given the earliest instead: they ask for what later ones have built in.
 */
const LATE_PATCH = 99

function platformArguments(platform: Platform): string[] {
  return [
    '--only-binary=:all:',
    '--implementation=cp',
    `--python-version=${platform.python}.${LATE_PATCH}`,
    ...[`cp${platform.python.replace('.', '')}`, 'abi3', 'none'].map((abi) => `--abi=${abi}`),
    ...platformTags(platform).map((tag) => `--platform=${tag}`),
  ]
}

function explain(error: unknown, platform: Platform): unknown {
  if (!(error instanceof UserError)) return error
  const hint = /No matching distribution|from versions: none/.test(error.message)
    ? '\nEither the index does not have it, or no wheel of it fits: sources are not built for another machine.'
    : ''
  return new UserError(`could not resolve for ${describePlatform(platform)}:\n${error.message}${hint}`, {
    cause: error,
  })
}

function refuseUnfit(files: readonly string[], platform: Platform): void {
  const unfit = files.map((file) => whyUnfit(file, platform)).filter((why) => why !== undefined)
  if (unfit.length > 0) throw new UserError(unfit.join('\n'))
}

function rootsOf({ names }: Requirements, built: BuiltSource[], wheels: string[]): string[] {
  const asked = [...names.map(normalizeName), ...built.map(({ wheel }) => parseWheelName(wheel)?.name)]
  const present = wheels.map((wheel) => parseWheelName(wheel)?.name ?? '')
  return [...new Set(present)].filter((name) => asked.includes(name))
}

/** The Python's own pip where that runs on the platform's Python too, one from the index otherwise. */
async function pipFor({ python, platform, cache, report }: ResolveJob, folder: string): Promise<string> {
  if (doesRunOn(python, platform)) return python.pip
  report(`fetching a pip that runs on Python ${platform.python}`)
  await mkdir(folder, { recursive: true })
  const args = ['download', '--dest', folder, '--no-deps', ...platformArguments(platform), 'pip']
  try {
    await runPip(args, { python, cache, markers: markerEnvironment(platform), useIndex: true, cwd: folder })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(
      `${basename(python.pip)}, which came with ${python.executable}, does not run on Python ${platform.python}, and the index gave no other. Install Python ${platform.python} here, or mend this:\n${error.message}`,
      { cause: error },
    )
  }
  const [pip = ''] = await readdir(folder)
  return join(folder, pip)
}

/** Every pip that ensurepip carried ran on Python 3.11; each newer Python broke the pips before it. */
const UNDEMANDING_MINOR = 11

function doesRunOn(python: Python, platform: Platform): boolean {
  const minor = Number(platform.python.split('.')[1])
  const newest = Math.max(UNDEMANDING_MINOR, Number(python.platform.python.split('.')[1]))
  return minor >= python.pipNeedsMinor && minor <= newest
}
