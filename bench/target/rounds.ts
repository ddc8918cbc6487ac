import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdirSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { offline } from '../../test/examples/python.ts'
import { filesAsTarGz, publishRelease } from '../../test/target/artifacts.ts'
import { asOrdinaryUser } from '../../test/target/target.ts'
import { thisPython } from '../../test/target/this-python.ts'
import type { Workshop } from '../../test/target/workshop.ts'
import type { Round } from './results.ts'
import { CHANGED, downloadWheels, type RealWheels } from './wheels.ts'

const run = promisify(execFile)
const HERE = fileURLToPath(new URL('.', import.meta.url))
const PROGRAM = fileURLToPath(new URL('../../target', import.meta.url))
/** The program's own workers are as nice: so that what else runs here slows all alike. */
const NICE = ['nice', '-n', '10']

interface Pinned {
  key: string
  versionId: string
  size: number
  digest: string
}

/**
 * Everything once, ours and theirs in turn. What one wrote is on the disk before the next begins, and all of it stays
 * until the end: a file system that has just freed thousands of files is slow to make new ones.
 */
export class TargetRounds {
  readonly #workshop: Workshop
  readonly #wheels: RealWheels
  readonly #python: string
  readonly #uv: string | undefined
  readonly #bundles: { before: Pinned; after: Pinned }
  #count = 0

  static async open(workshop: Workshop, folder: string): Promise<TargetRounds> {
    const { executable } = await thisPython()
    const uv = await findUv(executable, folder)
    const wheels = await downloadWheels(executable, folder)
    const pin = async (wheelFiles: string[]): Promise<Pinned> => {
      const code = await filesAsTarGz({ 'app.py': '' })
      const release = await publishRelease(workshop.bucket, join(workshop.folder, 'artifacts'), {
        code,
        wheelFiles,
        pip: wheels.pip,
      })
      const record = workshop.bucket.body(`staging/guestbook/releases/${release.id}.json`)
      return JSON.parse(record.toString()).bundle
    }
    const bundles = { before: await pin(wheels.before), after: await pin(wheels.after) }
    return new TargetRounds({ workshop, wheels, python: executable, uv, bundles })
  }

  private constructor(parts: {
    workshop: Workshop
    wheels: RealWheels
    python: string
    uv: string | undefined
    bundles: { before: Pinned; after: Pinned }
  }) {
    this.#workshop = parts.workshop
    this.#wheels = parts.wheels
    this.#python = parts.python
    this.#uv = parts.uv
    this.#bundles = parts.bundles
  }

  async measure(): Promise<Round> {
    const { before, after } = this.#bundles
    const plain = await this.#ours(before, 'plain')
    const pipPlain = await this.#pip(['--no-compile'])
    const floor = await this.#floor()
    const target = await this.#workshop.newTarget()
    const ready = await this.#ours(before, 'bytecode', target)
    const pipReady = await this.#pip([])
    const fetchedBefore = this.#workshop.bucket.bytes
    const changed = await this.#ours(after, 'bytecode', target)
    const fetched = this.#workshop.bucket.bytes - fetchedBefore
    const again = await this.#ours(after, 'again', target)
    const round = { plain, pipPlain, floor, ready, pipReady, changed, again }
    const extra = fetched - this.#changedSize()
    return { ...round, ...(await this.#uvSeconds()), extraBytes: extra }
  }

  wheels(): string {
    const sizes = this.#wheels.before.map((wheel) => statSync(wheel).size)
    const megabytes = sizes.reduce((sum, size) => sum + size, 0) / 1e6
    return `${sizes.length} wheels, ${megabytes.toFixed(1)} MB; changed: ${CHANGED.name}, ${(this.#changedSize() / 1e3).toFixed(0)} KB`
  }

  versions(): string {
    const [wheel = ''] = globSync(join(this.#uv ?? '-', '../../lib/python*/site-packages/uv-*.dist-info'))
    return `${basename(this.#python)}${wheel ? `, ${basename(wheel, '.dist-info')}` : ', no uv'}`
  }

  #changedSize(): number {
    const changed = this.#wheels.after.find((wheel) => basename(wheel).startsWith(`${CHANGED.name}-`))
    return statSync(changed ?? '').size
  }

  async #ours(bundle: Pinned, how: 'plain' | 'bytecode' | 'again', on?: OneTarget): Promise<number> {
    const target = on ?? (await this.#workshop.newTarget())
    const script = [join(HERE, 'install.py'), PROGRAM, JSON.stringify(bundle), how]
    const [command = '', ...args] = [...(await asOrdinaryUser()), this.#python, '-B', ...script]
    const env = { ...target.environment, PYBUNDLE_CONFIG: JSON.stringify(target.config) }
    await run('sync')
    const { stdout } = await run(command, args, { env })
    return JSON.parse(stdout).seconds
  }

  #pip(more: string[]): Promise<number> {
    return this.#inFreshFolder(async (venv) => {
      await this.#nicely(this.#python, ['-m', 'venv', venv])
      const options = ['--quiet', '--no-index', '--no-deps', '--disable-pip-version-check', ...more]
      await this.#nicely(join(venv, 'bin/pip'), ['install', ...options, ...this.#wheels.before])
    })
  }

  async #uvSeconds(): Promise<{ uvPlain?: number; uvReady?: number }> {
    const uv = this.#uv
    if (!uv) return {}
    const install = (more: string[]) =>
      this.#inFreshFolder(async (venv) => {
        const cache = ['--offline', '--no-config', '--quiet', '--cache-dir', `${venv}-cache`]
        await this.#nicely(uv, ['venv', ...cache, '--python', this.#python, venv])
        const options = ['--no-index', '--no-deps', '--python', join(venv, 'bin/python'), ...more]
        await this.#nicely(uv, ['pip', 'install', ...cache, ...options, ...this.#wheels.before])
      })
    return { uvPlain: await install([]), uvReady: await install(['--compile-bytecode']) }
  }

  #floor(): Promise<number> {
    return this.#inFreshFolder(async (folder) => {
      await this.#nicely(this.#python, [join(HERE, 'floor.py'), folder, ...this.#wheels.before])
    })
  }

  async #inFreshFolder(work: (folder: string) => Promise<void>): Promise<number> {
    const folder = join(this.#workshop.folder, `peer-${this.#count++}`)
    mkdirSync(folder)
    await run('sync')
    const began = performance.now()
    await work(join(folder, 'it'))
    return (performance.now() - began) / 1000
  }

  async #nicely(command: string, args: string[]): Promise<void> {
    const [nice = '', ...rest] = [...NICE, command, ...args]
    await run(nice, rest, { env: { ...offline, PYTHONDONTWRITEBYTECODE: '' } })
  }
}

type OneTarget = Awaited<ReturnType<Workshop['newTarget']>>

/** On the PATH, or from the index; undefined where there is none. */
async function findUv(python: string, folder: string): Promise<string | undefined> {
  const uv = join(folder, 'uv/bin/uv')
  const { PIP_FIND_LINKS: _, ...env } = process.env
  if (!existsSync(uv)) {
    await run(python, ['-m', 'venv', join(folder, 'uv')])
    await run(join(folder, 'uv/bin/pip'), ['install', '--quiet', 'uv'], { env }).catch(() => undefined)
  }
  return existsSync(uv) ? uv : undefined
}
