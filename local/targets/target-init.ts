import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sandbox } from './sandbox.ts'
import { PROGRAMS } from './target-files.ts'
import { areGone, endProcesses, processesBelow } from './target-processes.ts'

const LOGS = ['agent.log', 'supervisor.log']
const END_MS = 5000

/** Starts a target's first process; its output goes to the logs in the directory. */
export function startInit(
  directory: string,
  [command = '', ...args]: string[],
  env: Record<string, string>,
): ChildProcess {
  const logs = LOGS.map((name) => openSync(join(directory, name), 'a'))
  // A group of its own: Ctrl-C is for the local cloud, which then stops its targets in order.
  const init = spawn(command, args, { cwd: '/', env, detached: true, stdio: ['pipe', ...logs] })
  for (const log of logs) closeSync(log)
  return init
}

/** Ends it with all that the target runs. */
export async function endInit(
  init: ChildProcess,
  sandbox: Sandbox,
  { root, abruptly }: { root: string; abruptly: boolean },
): Promise<void> {
  const ended = hasNotEnded(init) ? once(init, 'exit') : undefined
  const inside = sandbox.isClosed ? processesBelow(init.pid ?? 0) : []
  if (!sandbox.isClosed) await endProcesses(root + PROGRAMS, { abruptly })
  // Its end is the end of all process numbers of a closed sandbox.
  init.stdin?.end()
  const timer = setTimeout(() => init.kill('SIGKILL'), END_MS)
  await ended
  clearTimeout(timer)
  await areGone(inside)
}

export const hasNotEnded = ({ exitCode, signalCode }: ChildProcess) =>
  exitCode === null && signalCode === null

export function lastWords(directory: string): string {
  return LOGS.map((name) => readFileSync(join(directory, name), 'utf8').trim().slice(-1000)).join('\n')
}
