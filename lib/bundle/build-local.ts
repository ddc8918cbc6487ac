import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { parse } from 'smol-toml'
import { UserError } from '../user-error.ts'
import { keepFolder } from './cache.ts'
import { runPip } from './pip.ts'
import type { LocalSource } from './requirements.ts'
import type { ResolveJob } from './resolve.ts'
import { digestSource } from './source-digest.ts'

export interface BuiltSource extends LocalSource {
  wheel: string
}

/** A wheel of every local source. One that was built already is taken from the cache. */
export async function buildLocalSources(job: ResolveJob): Promise<BuiltSource[]> {
  const queue = job.requirements.local.entries()
  const built: BuiltSource[] = []
  const work = async () => {
    for (const [index, source] of queue) built[index] = { ...source, wheel: await wheelOf(job, source.path) }
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  return built
}

const WORKERS = 2

async function wheelOf(job: ResolveJob, path: string): Promise<string> {
  if (path.endsWith('.whl')) return path
  const folder = join(job.cache, 'wheels', `${await digestSource(path)}-${job.python.version}`)
  const [cached] = await readdir(folder).catch(() => [])
  if (cached) return join(folder, cached)
  job.report(`building ${basename(path)}`)
  return buildWheel(job, path, folder)
}

async function buildWheel({ python, cache }: ResolveJob, path: string, folder: string): Promise<string> {
  try {
    await keepFolder(folder, async (output) => {
      const args = ['wheel', '--no-deps', '--wheel-dir', output, path]
      await runPip(args, { python, cache, useIndex: !(await isBuiltAlone(path)), cwd: output })
    })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`could not build a wheel from ${path}:\n${error.message}`, { cause: error })
  }
  const [wheel] = await readdir(folder)
  if (!wheel) throw new Error(`pip made no wheel from ${path}`)
  return join(folder, wheel)
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
