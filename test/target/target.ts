import { type ChildProcess, type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Action } from '../../lib/release/command.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { stateKey } from '../../lib/release/keys.ts'
import { EMPTY_STATE, type State } from '../../lib/release/state.ts'
import { parseVerdict, type Verdict } from '../../lib/release/verdict.ts'
import { eachPart, type ProgramPart, programSource } from '../../lib/stack/program-documents.ts'
import { type PublishedRelease, SCOPE } from './artifacts.ts'
import type { BucketAndMetadata } from './bucket-and-metadata.ts'
import { thisPython } from './this-python.ts'

export const PROGRAM = fileURLToPath(new URL('../../target/pybundle_target.py', import.meta.url))
export const ROLLOUT = '20261122t101500z-0123abcd'

type Step = ChildProcessByStdio<null, Readable, Readable>

export interface Asked {
  token?: number
  rollout?: string
}

export interface Told {
  verdict: Verdict & Record<string, unknown>
  exitCode: number | null
  /** Standard output. */
  output: string
  /** Standard error. */
  progress: string
  seconds: number
}

/** One target in plain directories below `root`, driven as the document drives it. */
export class TestTarget {
  readonly root: string
  readonly home: string
  /** Of the app that its restart command has started. */
  readonly appPid: string
  readonly bucket: BucketAndMetadata
  config: Record<string, unknown>
  /** What the newest version of its document says, where that is not what it is sent. */
  latest: Record<string, unknown> | undefined
  environment: Record<string, string>
  readonly #script: string
  #prefix: string[] = []

  static async make(root: string, bucket: BucketAndMetadata, config: Record<string, unknown> = {}) {
    const python = await thisPython()
    const target = new TestTarget(root, bucket, config, python.executable)
    target.runAs(python.executable, await asOrdinaryUser())
    return target
  }

  constructor(root: string, bucket: BucketAndMetadata, config: Record<string, unknown>, python: string) {
    this.root = root
    this.home = join(root, 'opt/pybundle/guestbook')
    this.appPid = join(root, 'app.pid')
    this.bucket = bucket
    mkdirSync(root, { recursive: true })
    this.config = {
      ...SCOPE,
      document: root,
      bucket: 'the-bucket',
      region: 'eu-west-1',
      reports: 'staging/guestbook/reports/arn:aws:ec2:eu-west-1:123456789012:instance',
      base: '/opt/pybundle',
      user: 'nobody',
      units: [],
      restart_command: null,
      env_file: null,
      health_url: null,
      health_seconds: 5,
      health_passes: 2,
      keep_releases: 2,
      signers: [],
      programs: eachPart((part) => ({
        document: part,
        sha256: sha256(programSource(part)),
      })),
      ...config,
    }
    bucket.documents.set(root, () => this.latest ?? this.config)
    this.environment = {
      ...bucket.environment,
      PYBUNDLE_ROOT: root,
      PATH: `${dirname(python)}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
    }
    this.#script = join(root, '_script.sh')
  }

  /** `runner`: what runs the program, which it finds open as the third file. */
  runAs(python: string, prefix: string[], runner = '/dev/fd/3'): void {
    this.#prefix = prefix
    const program = readFileSync(PROGRAM, 'utf8')
    writeFileSync(
      this.#script,
      `exec ${python} -IS -X utf8 ${runner} 3<<'PYBUNDLE_TARGET'\n${program}\nPYBUNDLE_TARGET\n`,
    )
  }

  /** Where waiting as long as the program does would take too long. */
  alterProgram(from: string, to: string): void {
    const script = readFileSync(this.#script, 'utf8')
    if (!script.includes(from)) throw new Error(`the program has no "${from}"`)
    writeFileSync(this.#script, script.replace(from, to))
  }

  /** A part, as this target keeps it. */
  alterPart(part: ProgramPart, from: string, to: string): void {
    const program = programSource(part)
    if (!program.includes(from)) throw new Error(`the program has no "${from}"`)
    const altered = program.replace(from, to)
    const digest = sha256(altered)
    mkdirSync(this.path('state'), { recursive: true })
    writeFileSync(this.path('state', `${part}-${digest}.py`), altered)
    const kept = { document: part, sha256: digest }
    this.config = { ...this.config, programs: { ...Object(this.config.programs), [part]: kept } }
  }

  /** Starts the step in its own process group, as the agent does. */
  start(action: Action, release?: PublishedRelease, { token = 1, rollout = '' }: Asked = {}): Step {
    const [command = 'sh', ...args] = [...this.#prefix, 'sh', this.#script]
    return spawn(command, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...this.environment,
        PYBUNDLE_CONFIG: JSON.stringify(this.config),
        SSM_action: action,
        SSM_release: release?.id ?? '',
        SSM_bundle: release?.digests.bundle ?? '',
        SSM_code: release?.digests.code ?? '',
        SSM_token: String(token),
        SSM_rollout: rollout,
      },
    })
  }

  async run(action: Action, release?: PublishedRelease, asked?: Asked): Promise<Told> {
    const began = performance.now()
    const child = this.start(action, release, asked)
    const [output, progress, exitCode] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.on('exit', resolve)),
    ])
    const verdict = parseVerdict(output)
    if (!verdict || output.trim().split('\n').length !== 1) {
      throw new Error(`not one verdict: ${JSON.stringify(output)}\n${progress}`)
    }
    const seconds = (performance.now() - began) / 1000
    return { verdict: { ...JSON.parse(output), ...verdict }, exitCode, output, progress, seconds }
  }

  /** What `state.json` says from now on. */
  setState(state: Partial<State>): void {
    this.bucket.put(stateKey(SCOPE), JSON.stringify({ ...EMPTY_STATE, ...state }))
  }

  holdLock(token: number): void {
    this.setState({
      token,
      lock: { token, request: ROLLOUT, execution: `${token}-${ROLLOUT}`, version: '1' },
    })
  }

  /** Prepares and activates under the given token. */
  async deploy(release: PublishedRelease, token = 1): Promise<Told> {
    this.holdLock(token)
    const prepared = await this.run('prepare', release, { token })
    if (prepared.verdict.outcome !== 'done') return prepared
    return this.run('activate', release, { token })
  }

  path(...parts: string[]): string {
    return join(this.home, ...parts)
  }

  has(...parts: string[]): boolean {
    return existsSync(this.path(...parts))
  }

  read(...parts: string[]): string {
    return readFileSync(this.path(...parts), 'utf8')
  }

  readFile(path: string): string {
    return readFileSync(join(this.root, path), 'utf8')
  }

  /** Below the root, as the operator would place it. */
  writeFile(path: string, content: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true })
    writeFileSync(join(this.root, path), content)
  }
}

let namespace: Promise<ChildProcess> | undefined

/**
 * What to put before a command. Root would have to drop to the app's user: tests run as an ordinary user in
 * one namespace for all, so that each sees the others' processes, as on a real target.
 */
export async function asOrdinaryUser(): Promise<string[]> {
  if (process.getuid?.() !== 0) return []
  namespace ??= openNamespace()
  return ['nsenter', '--preserve-credentials', '-U', '-t', String((await namespace).pid)]
}

async function openNamespace(): Promise<ChildProcess> {
  const options = ['-U', '--map-user=1', '--map-group=1', 'sh', '-c', 'echo ready; exec sleep infinity']
  const keeper = spawn('unshare', options, { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(keeper.stdout, 'data')
  keeper.stdout.destroy()
  return keeper
}

export async function closeNamespace(): Promise<void> {
  const keeper = await namespace
  namespace = undefined
  keeper?.kill('SIGKILL')
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

/** Ends what a test's restart command has left running. */
export function stopApp(target: TestTarget): void {
  if (!existsSync(target.appPid)) return
  const pid = Number(readFileSync(target.appPid, 'utf8'))
  rmSync(target.appPid) // its number may soon be another's
  if (pid === 0) return // not written yet: and to kill 0 is to kill one's own process group
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}

export function pythonOutput(python: string, args: string[]): string {
  return execFileSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
}
