import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parse } from 'smol-toml'
import { sha256 } from '../../release/digest.ts'
import { UserError } from '../../user-error.ts'
import { keepFolder } from '../cache.ts'
import { maskCredentials } from '../credentials.ts'
import type { LocalSource, RemoteSource } from '../inputs/requirements.ts'
import { whichApply } from '../markers.ts'
import { runPip } from '../resolve/pip.ts'
import type { ResolveJob } from '../resolve/resolve.ts'
import { digestSource } from '../source-digest.ts'
import { acceptBuilt } from './accept-built.ts'
import { repack } from './repack.ts'
import { downloadSource } from './source-archive.ts'
import { checkOut, parseVcs, type VcsRecord } from './vcs.ts'

/** A wheel that was made here, for a requirement that names no wheel. */
export interface BuiltSource {
  wheel: string
  /** `[extra]` or nothing. */
  extras: string
  marker: string
  vcs?: VcsRecord
}

/** A wheel of every source that the platform needs. Built once, it is taken from the cache. */
export async function buildSources(job: ResolveJob): Promise<BuiltSource[]> {
  const { local, remote } = job.requirements
  const queue = (await whichApply([...local, ...remote], job)).entries()
  const built: BuiltSource[] = []
  const work = async () => {
    for (const [index, source] of queue)
      built[index] = await buildSource(job, source, join(job.folder, `source-${index}`))
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  return built
}

const WORKERS = 2

async function buildSource(
  job: ResolveJob,
  source: LocalSource | RemoteSource,
  folder: string,
): Promise<BuiltSource> {
  const { extras, marker } = source
  if ('path' in source) {
    const { path, vcs } = source
    return { wheel: await wheelOf(job, path), extras, marker, ...(vcs ? { vcs } : {}) }
  }
  const address = parseVcs(source.url)
  const told = maskCredentials(source.url)
  job.report(`fetching ${told}`)
  if (!address) {
    const path = await downloadSource(job, source.url, folder)
    return { wheel: await wheelOf(job, path, told), extras, marker }
  }
  const { path, record } = await checkOut(address, folder)
  // Not by its contents: the version of many packages is in their tags.
  const identity = sha256(JSON.stringify(record))
  return { wheel: await wheelOf(job, path, told, identity), extras, marker, vcs: record }
}

/** `told` is what an error calls the source. */
export async function wheelOf(
  job: ResolveJob,
  path: string,
  told = path,
  identity?: string,
): Promise<string> {
  if (path.endsWith('.whl')) return acceptBuilt(path, told, job)
  const digest = identity ?? (await digestSource(path))
  const folder = join(job.cache, 'wheels', `${digest}-${job.python.version}`)
  const [cached] = await readdir(folder).catch(() => [])
  if (!cached) {
    job.report(`building ${basename(told)}`)
    await buildWheel(job, path, folder, told)
  }
  const [wheel] = await readdir(folder)
  if (!wheel) throw new Error(`pip made no wheel from ${told}`)
  return acceptBuilt(join(folder, wheel), told, job)
}

async function buildWheel(job: ResolveJob, path: string, folder: string, told: string): Promise<void> {
  const { python, cache, indexOptions } = job
  const useIndex = !(await isBuiltAlone(path))
  const options = useIndex ? indexOptions : []
  try {
    await keepFolder(folder, async (output) => {
      const args = ['wheel', '--no-deps', '--ignore-requires-python', '--wheel-dir', output, ...options, path]
      await runPip(args, { python, cache, useIndex, cwd: output })
      for (const wheel of await readdir(output)) await repack(join(output, wheel))
    })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`could not build a wheel from ${told}:\n${error.message}${hintOf(error.message)}`, {
      cause: error,
    })
  }
}

function hintOf(message: string): string {
  if (!/No matching distribution found for setuptools/.test(message)) return ''
  return '\nBuilding it needs setuptools, which is not in the index. Let pip reach an index that has it; what a bundle of format 1 holds can also be built with a Python before 3.12, which brings its own.'
}

/** A source that brings its own build backend needs no index. */
async function isBuiltAlone(path: string): Promise<boolean> {
  try {
    const project = parse(await readFile(join(path, 'pyproject.toml'), 'utf8'))
    const system = project['build-system'] as { requires?: unknown } | undefined
    return Array.isArray(system?.requires) && system.requires.length === 0
  } catch {
    return false
  }
}
