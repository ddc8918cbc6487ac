import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '../../lib/user-error.ts'
import type { CredentialStore } from '../credentials.ts'
import { startMetadata } from '../metadata/metadata.ts'
import type { ProcessRecord } from '../process-record.ts'
import { findTargetPython } from './python.ts'
import { chooseSandbox, OWN_FOLDERS, type SandboxChoice } from './sandbox.ts'
import { initCommand, layOut, PROGRAMS, targetEnvironment } from './target-files.ts'
import { endInit, hasNotEnded, lastWords, startInit } from './target-init.ts'
import { endProcesses } from './target-processes.ts'

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

const START_MS = 20_000
const ADDRESS_MS = 2000
const POLL_MS = 50

export async function startTarget(options: TargetOptions): Promise<Target> {
  const { instanceId, listen, region, credentials, processes, shared } = options
  const directory = resolve(options.directory)
  const root = join(directory, 'root')
  const python = await findTargetPython()
  for (const folder of OWN_FOLDERS) mkdirSync(root + folder, { recursive: true })
  const sandbox = await chooseSandbox(options.sandbox, python, root)
  const place = { root, inside: sandbox.isClosed ? '' : root }
  // What a local cloud that was killed has left; bubblewrap leaves nothing.
  if (!sandbox.isClosed) await endProcesses(root + PROGRAMS, { abruptly: true })
  await waitForAddress(options)
  layOut(place, options)
  const metadata = await startMetadata({ instanceId, region, credentials })
  const environment = targetEnvironment(options, python, place)
  const init = startInit(
    directory,
    [...sandbox.wrap({ instanceId, root, shared }), ...initCommand(options, place)],
    {
      ...environment,
      AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url,
    },
  )
  const pid = init.pid ?? 0
  processes.add(pid)
  const end = async (abruptly: boolean) => {
    await endInit(init, sandbox, { root, abruptly })
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

async function isListening(
  { instanceId, directory, listen }: TargetOptions,
  init: ChildProcess,
): Promise<void> {
  for (const end = Date.now() + START_MS; Date.now() < end && hasNotEnded(init); await delay(POLL_MS)) {
    if (await answers(listen)) return
  }
  const words = `did not start (its logs are in "${directory}"):\n${lastWords(directory)}`
  throw new UserError(`Target ${instanceId} ${words}`)
}

function answers({ host, port }: TargetOptions['listen']): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect(port, host, () => done(true)).on('error', () => done(false))
    socket.on('connect', () => socket.destroy())
  })
}
