import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { askSupervisor } from '../../local/supervisor/control.ts'
import { copyExample, migrateCommand, python } from './python.ts'

const SUPERVISOR = fileURLToPath(new URL('../../local/targets/supervisor.ts', import.meta.url))

/** An example app, laid out as on a target and served by the supervisor. */
export class ServedApp {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'example-')))
  readonly database = join(this.folder, 'data', 'example.sqlite3')
  readonly #example: string
  readonly #virtualenv: string
  address = ''
  #supervisor: ChildProcess | undefined

  constructor(example: string, virtualenv: string) {
    this.#example = example
    this.#virtualenv = virtualenv
  }

  async start(): Promise<void> {
    this.address = `127.0.0.1:${await freePort()}`
    mkdirSync(join(this.folder, 'data'))
    writeFileSync(join(this.folder, 'env'), `LISTEN=${this.address}\nDATABASE=${this.database}\n`)
    const args = [
      'run',
      '--app-dir',
      this.folder,
      '--env-file',
      join(this.folder, 'env'),
      '--run-dir',
      this.folder,
    ]
    this.#supervisor = spawn(process.execPath, [SUPERVISOR, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    await askSupervisor(this.folder, 'status')
  }

  /** Makes a release of the example as it is after these revisions. */
  lay(id: string, revisions: number[] = []): string {
    const release = copyExample(this.#example, join(this.folder, 'releases', id), revisions)
    symlinkSync(this.#virtualenv, join(release, '.venv'))
    return release
  }

  /** Starts a release in the place of what runs. */
  async activate(release: string): Promise<void> {
    rmSync(join(this.folder, 'current'), { force: true })
    symlinkSync(release, join(this.folder, 'current'))
    await askSupervisor(this.folder, 'restart')
  }

  async use(id: string, revisions: number[] = []): Promise<string> {
    const release = this.lay(id, revisions)
    await this.activate(release)
    return release
  }

  async migrate(release: string): Promise<string> {
    const { stdout } = await this.python(release, migrateCommand(release))
    return stdout
  }

  python(release: string, args: string[]) {
    return python(this.#virtualenv, args, release, { DATABASE: this.database })
  }

  /** On a connection of its own: a server that ends waits a while for those that are kept alive. */
  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { ...init.headers, connection: 'close' }
    return fetch(`http://${this.address}${path}`, { redirect: 'manual', ...init, headers })
  }

  async page(path = '/'): Promise<string> {
    return (await this.fetch(path)).text()
  }

  log(): string {
    return readFileSync(join(this.folder, 'log', 'web.log'), 'utf8')
  }

  async stop(): Promise<void> {
    if (this.#supervisor) {
      await askSupervisor(this.folder, 'stop')
      if (this.#supervisor.exitCode === null) await once(this.#supervisor, 'exit')
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
