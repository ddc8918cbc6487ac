import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  writeFileSync,
} from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { z } from 'zod'

/** How `aws:runShellScript` runs, with the habits of the agent that a script can trip over. */

export const shellScriptInputs = z.object({
  runCommand: z.array(z.coerce.string()),
  timeoutSeconds: z.unknown().optional(),
  workingDirectory: z.string().optional(),
})
export type ShellScriptInputs = z.infer<typeof shellScriptInputs>

export interface StepOptions {
  inputs: ShellScriptInputs
  /** Of this step of this command: holds the script and its whole output. */
  folder: string
  environment: Record<string, string>
  cancelled: AbortSignal
}

export type ResultStatus = 'Success' | 'Failed' | 'TimedOut' | 'Cancelled' | 'Skipped'

export interface StepOutcome {
  status: ResultStatus
  code: number
  standardOutput: string
  standardError: string
}

const DEFAULT_SECONDS = 3600
const SHORTEST_SECONDS = 5
const LONGEST_SECONDS = 172_800
/** Of a process that was killed at its timeout or its cancellation; a script's own 137 counts alike. */
const KILLED = 137
const OUTPUT_BYTES = 100_000
const HAS_NUL = 'exec: environment variable contains NUL'

export async function runShellScript({
  inputs,
  folder,
  environment,
  cancelled,
}: StepOptions): Promise<StepOutcome> {
  if (cancelled.aborted) return { status: 'Cancelled', code: 1, standardOutput: '', standardError: '' }
  if (Object.values(environment).some((value) => value.includes('\0'))) return failedToStart(HAS_NUL)
  mkdirSync(folder, { recursive: true })
  const script = join(folder, '_script.sh')
  writeFileSync(script, `${inputs.runCommand.join('\n')}\n`, { mode: 0o700 })
  const child = spawn('sh', ['-c', quote(script)], {
    cwd: workingDirectory(inputs),
    env: environment,
    // A group of its own, by which it is killed.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const outputs = [save(child.stdout, join(folder, 'stdout')), save(child.stderr, join(folder, 'stderr'))]
  const { code, problem } = await waitFor(child, timeoutSeconds(inputs.timeoutSeconds), cancelled)
  await Promise.all(outputs.map((output) => output.cut()))
  const status = statusOf(code, cancelled.aborted)
  const said = problem && status === 'Failed' ? `failed to run commands: ${problem}` : ''
  const standardError = readBeginning(join(folder, 'stderr'))
  return {
    status,
    code,
    standardOutput: readBeginning(join(folder, 'stdout')),
    standardError: [standardError, said].filter(Boolean).join('\n'),
  }
}

function failedToStart(why: string): StepOutcome {
  const standardError = `failed to run commands: ${why}`
  return { status: 'Failed', code: 1, standardOutput: '', standardError }
}

/** Out of range, or no number: an hour, and not a word about it. */
function timeoutSeconds(given: unknown): number {
  const seconds = Number(given ?? DEFAULT_SECONDS)
  return seconds >= SHORTEST_SECONDS && seconds <= LONGEST_SECONDS ? Math.floor(seconds) : DEFAULT_SECONDS
}

function workingDirectory({ workingDirectory: folder }: ShellScriptInputs): string {
  if (folder && isAbsolute(folder)) return folder
  return existsSync('/usr/bin') ? '/usr/bin' : '/'
}

interface End {
  code: number
  problem?: string
}

/**
 * The command ends when nobody holds its pipes any more: a daemon that inherited them holds it open until the
 * timeout, and is killed then if it is of the same group.
 */
async function waitFor(child: ChildProcess, seconds: number, cancelled: AbortSignal): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>()
  const kill = () => resolve(killGroup(child.pid))
  const timer = setTimeout(kill, seconds * 1000)
  cancelled.addEventListener('abort', kill)
  child.once('error', (error) => resolve({ code: 1, problem: error.message }))
  child.once('close', (code, signal) => {
    if (code === 0) resolve({ code })
    else if (signal) resolve({ code: -1, problem: `signal: ${signal}` })
    else resolve({ code: code ?? 1, problem: `exit status ${code}` })
  })
  const end = await promise
  clearTimeout(timer)
  cancelled.removeEventListener('abort', kill)
  return end
}

/** Who has left the group survives, and the command has failed to be stopped. */
function killGroup(pid: number | undefined): End {
  try {
    process.kill(-(pid ?? 0), 'SIGKILL')
    return { code: KILLED }
  } catch {
    return { code: 1, problem: 'no such process' }
  }
}

function statusOf(code: number, isCancelled: boolean): ResultStatus {
  if (code === 0) return 'Success'
  if (code !== KILLED) return 'Failed'
  return isCancelled ? 'Cancelled' : 'TimedOut'
}

/** The whole output, until it ends or is cut off. */
function save(stream: Readable, file: string): { cut(): Promise<void> } {
  const copy = createWriteStream(file)
  stream.pipe(copy)
  return {
    async cut() {
      stream.unpipe(copy)
      stream.destroy()
      copy.end()
      await finished(copy)
    },
  }
}

function readBeginning(file: string): string {
  const descriptor = openSync(file, 'r')
  try {
    const buffer = Buffer.alloc(OUTPUT_BYTES)
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, OUTPUT_BYTES, 0))
  } finally {
    closeSync(descriptor)
  }
}

const quote = (path: string) => `'${path.replaceAll("'", `'\\''`)}'`
