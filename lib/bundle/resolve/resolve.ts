import { writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { UserError } from '../../user-error.ts'
import { type BuiltSource, buildSources } from '../build/build.ts'
import { buildFromIndex, unmatched } from '../build/sdist.ts'
import type { Python } from '../find-python.ts'
import { nameOf } from '../inputs/requirement-name.ts'
import { type Requirements, requiresHashes } from '../inputs/requirements.ts'
import type { BundleParts } from '../pack.ts'
import { describePlatform, type Platform } from '../platform.ts'
import { digestSource } from '../source-digest.ts'
import { normalizeName, parseWheelName, whyUnfit } from '../wheel.ts'
import { explainComplaint } from './explain-complaint.ts'
import { PINNED_PIPS, pinnedPips } from './pinned-pip.ts'
import { type FetchedFile, fetchForPlatform } from './pip-platform.ts'
import { pinWithUv } from './uv.ts'

export interface ResolveWish {
  requirements: Requirements
  platform: Platform
  python: Python
  /** A folder that outlives the run. */
  cache: string
  /** A folder that does not. */
  folder: string
  report: (line: string) => void
}

export interface ResolveJob extends ResolveWish {
  /** Arguments that tell pip of the indexes that the requirements name. */
  indexOptions: string[]
}

/** Finds or builds a wheel for everything that the requirements need on the platform. */
export async function resolveWheels(wish: ResolveWish): Promise<BundleParts> {
  const { python, platform } = wish
  const asked = { ...wish, indexOptions: await writeIndexOptions(wish) }
  const [pip, carried] = await pinnedPips([python.platform.python, platform.python], asked)
  // All that pip decides is decided by the same pip on any laptop, as far as it can be had.
  const job = { ...asked, python: { ...python, pip: pip ?? python.pip } }
  const built = await buildSources(job)
  refuseUnfit(
    built.map(({ wheel }) => wheel),
    job.platform,
  )
  job.report(`resolving for ${describePlatform(job.platform)}`)
  const files = await fetchWheels(job, built)
  const wheels = files.map(({ path }) => path)
  refuseUnfit(wheels, job.platform)
  if (wheels.length === 0) throw nothingApplies(job)
  return {
    platform: job.platform,
    roots: rootsOf(job.requirements, built, files),
    wheels,
    pip: carried ?? ownPip(wish),
    vcs: Object.fromEntries(built.flatMap(({ wheel, vcs }) => (vcs ? [[nameOfWheel(wheel), vcs]] : []))),
  }
}

/** In a file: the values of variables, as pip fills them in, are in no list of processes. */
async function writeIndexOptions({ requirements, folder }: ResolveWish): Promise<string[]> {
  const lines = requirements.lines.filter((line) => INDEX_OPTION.test(line))
  if (lines.length === 0) return []
  const file = join(folder, 'index-options.in')
  await writeFile(file, lines.join('\n'))
  return ['-r', file]
}

const INDEX_OPTION = /^(-i|-f|--(index-url|extra-index-url|no-index|find-links|trusted-host))\b/

async function fetchWheels(job: ResolveJob, built: BuiltSource[]): Promise<FetchedFile[]> {
  const { requirements, folder } = job
  const fromSource = await buildUnwanted(job)
  const tried = new Set<string>()
  const constraints = join(folder, 'constraints.txt')
  const input = join(folder, 'requirements.in')
  const args = ['--only-binary=:all:', '-c', constraints, '-r', input]
  let pins = await pinsFor(job, await inputLines(requirements, built, fromSource))
  for (;;) {
    await writeFile(constraints, [...requirements.constraints, ...pins].join('\n'))
    await writeFile(input, (await inputLines(requirements, built, fromSource)).join('\n'))
    const answer = await orComplaint(() => fetchFor(job, args))
    if (!(answer instanceof UserError)) return answer
    if (pins.length > 0) pins = []
    else if (!(await buildMissing(job, answer, { fromSource, tried })))
      throw await explainComplaint(answer, job.platform, [input, constraints])
  }
}

/** What is pinned already, or local, needs no choice. */
async function pinsFor(job: ResolveJob, lines: readonly string[]): Promise<string[]> {
  const asked = job.requirements.lines.filter((line) => !line.startsWith('-'))
  return asked.every((line) => /==[^*]+--hash/.test(line)) ? [] : pinWithUv(job, lines)
}

/** Where all requirements are local, what they need may be local too: then no index is asked. */
async function fetchFor(job: ResolveJob, args: readonly string[]): Promise<FetchedFile[]> {
  if (job.requirements.lines.length === 0) {
    const answer = await orComplaint(() => fetchForPlatform(args, job, { useIndex: false }))
    if (!(answer instanceof UserError)) return answer
  }
  job.report('asking the package index')
  return fetchForPlatform(args, job)
}

async function orComplaint<T>(work: () => Promise<T>): Promise<T | UserError> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
}

/** Wheels that were built from the sources in an index, by package. */
type FromSource = Map<string, string>

/** What `--no-binary` names is built, whatever wheels there are. */
async function buildUnwanted(job: ResolveJob): Promise<FromSource> {
  const fromSource: FromSource = new Map()
  for (const name of job.requirements.noBinary) {
    const line = job.requirements.lines.find((candidate) => nameOf(candidate) === name)
    const wheel = line && (await buildFromIndex(job, line, join(job.folder, 'sdists', name)))
    if (wheel) fromSource.set(name, wheel)
  }
  return fromSource
}

/**
 * Builds what pip found no wheel for; false where that leads nowhere. A second requirement of the same package may
 * come to light only once the first one is met: then another version is built.
 */
async function buildMissing(
  job: ResolveJob,
  complaint: UserError,
  { fromSource, tried }: { fromSource: FromSource; tried: Set<string> },
): Promise<boolean> {
  let isFurther = false
  for (const requirement of unmatched(complaint.message)) {
    if (tried.has(requirement)) continue
    tried.add(requirement)
    const name = nameOf(requirement)
    // What its source must be is told there alone.
    const hashed = job.requirements.lines.find((line) => nameOf(line) === name && / --hash[ =]/.test(line))
    const line = hashed ?? requirement
    const wheel = await buildFromIndex(job, line, join(job.folder, 'sdists', `${tried.size}`))
    if (wheel) fromSource.set(name, wheel)
    isFurther ||= wheel !== undefined
  }
  return isFurther
}

/** What pip is asked for, with the wheels that were built here in their places. */
async function inputLines(
  requirements: Requirements,
  built: BuiltSource[],
  fromSource: FromSource,
): Promise<string[]> {
  const isHashed = requiresHashes(requirements)
  const place = async (name: string, extras: string, wheel: string, marker: string) => {
    const hash = isHashed ? ` --hash=sha256:${await digestSource(wheel)}` : ''
    return `${name}${extras} @ ${pathToFileURL(wheel).href}${marker && ` ; ${marker}`}${hash}`
  }
  const written = requirements.lines.map((line) => {
    const wheel = line.startsWith('-') ? undefined : fromSource.get(nameOf(line))
    if (!wheel) return line
    const [, extras = '', marker = ''] =
      line.match(/^[\w.-]+\s*(\[[^\]]*\])?[^;]*?(?:;\s*(.*?))?(?:\s--hash.*)?$/) ?? []
    return place(nameOf(line), extras, wheel, marker)
  })
  return Promise.all([
    ...[...fromSource.values()].map((wheel) => `--find-links ${pathToFileURL(dirname(wheel)).href}`),
    // Named by file, a local wheel cannot be taken over by a package of its name in an index; named first, it is what
    // a line means that asks for that package by its name alone.
    ...built.map(({ wheel, extras, marker }) => place(nameOfWheel(wheel), extras, wheel, marker)),
    ...written,
  ])
}

function nothingApplies({ requirements, platform }: ResolveJob): UserError {
  const [file] = requirements.files
  return new UserError(
    `nothing that ${file} asks for applies to ${describePlatform(platform)}: the markers (what follows ";") of all its lines are false there.`,
  )
}

function refuseUnfit(files: readonly string[], platform: Platform): void {
  const unfit = files.map((file) => whyUnfit(file, platform)).filter((why) => why !== undefined)
  if (unfit.length > 0) throw new UserError(unfit.join('\n'))
}

/** With their extras. A lock names all that it holds: what is asked for itself is told beside it. */
function rootsOf({ names }: Requirements, built: BuiltSource[], files: readonly FetchedFile[]): string[] {
  const asked = [...names.map(normalizeName), ...built.map(({ wheel }) => nameOfWheel(wheel))]
  // An address alone names no package.
  const roots = files.filter(
    ({ isRoot, name }) => isRoot && (asked.includes(normalizeName(name)) || asked.includes('')),
  )
  return roots.map(
    ({ name, extras }) => `${normalizeName(name)}${extras.length > 0 ? `[${extras.join(',')}]` : ''}`,
  )
}

function nameOfWheel(wheel: string): string {
  return parseWheelName(wheel)?.name ?? ''
}

/** The pip that came with the Python, where that runs on the platform's Python too. */
function ownPip({ python, platform }: ResolveWish): string {
  if (doesRunOn(python, platform)) return python.pip
  throw new UserError(
    `a bundle carries a pip, and the index gave none for Python ${platform.python} (${PINNED_PIPS.join(', ')} are asked for); ${basename(python.pip)}, which came with ${python.executable}, does not run there. Let pip reach an index that has one of them, or install Python ${platform.python} here.`,
  )
}

/** Every pip that ensurepip carried ran on Python 3.11; each newer Python broke the pips before it. */
const UNDEMANDING_MINOR = 11

function doesRunOn(python: Python, platform: Platform): boolean {
  const minor = Number(platform.python.split('.')[1])
  const newest = Math.max(UNDEMANDING_MINOR, Number(python.platform.python.split('.')[1]))
  return minor >= python.pipNeedsMinor && minor <= newest
}
