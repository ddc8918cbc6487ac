import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { extname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { UserError } from '../../lib/user-error.ts'
import type { CredentialStore } from '../credentials.ts'
import { writeFileAtomically } from '../lambda/atomic-file.ts'
import { startMetadata } from '../metadata/metadata.ts'
import type { ProcessRecord } from '../process-record.ts'
import { findTargetPython, type Python } from './python.ts'
import { chooseSandbox, OWN_FOLDERS, type Sandbox, type SandboxChoice } from './sandbox.ts'
import { areGone, endProcesses, processesBelow } from './target-processes.ts'

export interface TargetOptions {
  instanceId: string
  /** Holds all that the target owns, and its logs. */
  directory: string
  endpointUrl: string
  region: string
  credentials: CredentialStore
  app: string
  /** As in fleets.toml. */
  base: string
  envFile: string
  /** What the env file holds, besides LISTEN. */
  env: Record<string, string>
  listen: { host: string; port: number }
  /** A folder that all targets of a fleet write to, at the same path in each. */
  shared?: string
  sandbox: SandboxChoice
  processes: ProcessRecord
}

/** One running target: its metadata service, its supervisor, its agent. */
export interface Target {
  instanceId: string
  url: string
  /** Shuts it down, with all that it runs. */
  stop(): Promise<void>
  /** As a machine dies: nothing is told that it ends. */
  kill(): Promise<void>
}

const PROGRAMS = '/var/lib/pybundle/bin'
const RUN = '/run/pybundle'
const START_MS = 20_000
const END_MS = 5000
const ADDRESS_MS = 2000
const POLL_MS = 50

const program = (name: string) =>
  fileURLToPath(new URL(`./${name}${extname(import.meta.url)}`, import.meta.url))

/**
 * The first process of a target. Both programs are started again whenever they end; all end with the local
 * cloud, which holds the other end of standard input. 1 is the agent's log, 2 the supervisor's.
 */
const INIT = `
keep() { while :; do "$@"; sleep 1; done; }
keep "$1" "$2" run --app-dir "$4" --env-file "$5" --run-dir "$6" 1>&2 &
keep "$1" "$3" 2>&1 &
cat >/dev/null
[ -z "$PYBUNDLE_ROOT" ] || kill -KILL 0
`

export async function startTarget(options: TargetOptions): Promise<Target> {
  const { instanceId, listen, region, credentials, processes } = options
  const python = await findTargetPython()
  const root = join(resolve(options.directory), 'root')
  for (const folder of OWN_FOLDERS) mkdirSync(root + folder, { recursive: true })
  const sandbox = await chooseSandbox(options.sandbox, python, root)
  const inside = sandbox.isClosed ? '' : root
  // What a local cloud that was killed has left; bubblewrap leaves nothing.
  if (inside) await endProcesses(inside + PROGRAMS, { abruptly: true })
  await waitForAddress(options)
  layOut(root, inside, options)
  const metadata = await startMetadata({ instanceId, region, credentials })
  const variables = {
    ...environment(options, python, inside),
    AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url,
  }
  const init = startInit(
    options,
    [...sandbox.wrap({ instanceId, root, shared: options.shared }), ...initCommand(options, inside)],
    variables,
  )
  const pid = init.pid ?? 0
  processes.add(pid)
  const end = async (abruptly: boolean) => {
    await endInit(init, sandbox, join(root, PROGRAMS), abruptly)
    processes.remove(pid)
    await metadata.close()
  }
  await isListening(options, init).catch(async (error) => {
    await end(true)
    throw error
  })
  return {
    instanceId,
    url: `http://${listen.host}:${listen.port}`,
    stop: () => end(false),
    kill: () => end(true),
  }
}

/** Whatever else answers there would be taken for the target; one that has just ended gives it free. */
async function waitForAddress({ instanceId, listen }: TargetOptions): Promise<void> {
  for (const giveUpAt = Date.now() + ADDRESS_MS; ; await delay(POLL_MS)) {
    try {
      const server = createServer().listen(listen)
      await once(server, 'listening')
      server.close()
      await once(server, 'close')
      return
    } catch (cause) {
      if (Date.now() < giveUpAt) continue
      const problem = `cannot listen on ${listen.host}:${listen.port}: ${(cause as Error).message}`
      throw new UserError(`Target ${instanceId} ${problem}`, { cause })
    }
  }
}

function layOut(root: string, inside: string, { app, base, env, envFile, listen }: TargetOptions): void {
  mkdirSync(join(root, base, app), { recursive: true })
  mkdirSync(join(root, RUN), { recursive: true })
  const variables = { ...env, LISTEN: `${listen.host}:${listen.port}` }
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`)
  writeFileAtomically(join(root, envFile), lines.join(''))
  mkdirSync(join(root, PROGRAMS), { recursive: true })
  const words = [process.execPath, program('supervisor')].map(quote).join(' ')
  const wrapper = `#!/bin/sh\nexec ${words} "$@" --run-dir ${quote(inside + RUN)}\n`
  writeFileSync(join(root, PROGRAMS, 'supervisor'), wrapper, { mode: 0o755 })
}

/** All that the target's programs get: of whoever starts the local cloud, nothing. */
function environment(options: TargetOptions, python: Python, inside: string): Record<string, string> {
  const { instanceId, region, endpointUrl, listen } = options
  const system = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  return {
    PATH: `${inside}${PROGRAMS}:${python.folder}:${system}`,
    LANG: 'C.UTF-8',
    AWS_SSM_INSTANCE_ID: instanceId,
    AWS_SSM_REGION_NAME: region,
    AWS_ENDPOINT_URL: endpointUrl,
    PYBUNDLE_ADDRESS: listen.host,
    ...(inside ? { PYBUNDLE_ROOT: inside } : {}),
  }
}

function initCommand({ app, base, envFile }: TargetOptions, inside: string): string[] {
  const folders = [join(inside, base, app), join(inside, envFile), inside + RUN]
  return [
    '/bin/sh',
    '-c',
    INIT,
    'init',
    process.execPath,
    program('supervisor'),
    program('agent'),
    ...folders,
  ]
}

function startInit(
  { directory }: TargetOptions,
  [command = '', ...args]: string[],
  env: Record<string, string>,
): ChildProcess {
  const logs = logNames.map((name) => openSync(join(directory, name), 'a'))
  // A group of its own: Ctrl-C is for the local cloud, which then stops its targets in order.
  const init = spawn(command, args, { cwd: '/', env, detached: true, stdio: ['pipe', ...logs] })
  for (const log of logs) closeSync(log)
  return init
}

const logNames = ['agent.log', 'supervisor.log']

async function isListening(
  { instanceId, directory, listen }: TargetOptions,
  init: ChildProcess,
): Promise<void> {
  for (const end = Date.now() + START_MS; Date.now() < end && hasNotEnded(init); await delay(POLL_MS)) {
    if (await answers(listen)) return
  }
  const said = logNames.map((name) => readFileSync(join(directory, name), 'utf8').trim().slice(-1000))
  throw new UserError(
    `Target ${instanceId} did not start (its logs are in "${directory}"):\n${said.join('\n')}`,
  )
}

function answers({ host, port }: TargetOptions['listen']): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, host, () => done(true)).on('error', () => done(false))
    socket.on('connect', () => socket.destroy())
  })
}

async function endInit(
  init: ChildProcess,
  sandbox: Sandbox,
  programs: string,
  abruptly: boolean,
): Promise<void> {
  const ended = hasNotEnded(init) ? once(init, 'exit') : undefined
  const inside = sandbox.isClosed ? processesBelow(init.pid ?? 0) : []
  if (!sandbox.isClosed) await endProcesses(programs, { abruptly })
  // Its end is the end of all process numbers of a closed sandbox.
  init.stdin?.end()
  const timer = setTimeout(() => init.kill('SIGKILL'), END_MS)
  await ended
  clearTimeout(timer)
  await areGone(inside)
}

const hasNotEnded = ({ exitCode, signalCode }: ChildProcess) => exitCode === null && signalCode === null

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`
