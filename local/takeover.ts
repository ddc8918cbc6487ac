import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { writeFileAtomically } from './atomic-file.ts'
import { probePort } from './http/listen.ts'
import { endRecordedProcesses, processStartTime } from './process-record.ts'

interface Owner {
  pid: number
  startTime: string
  port: number
}

export interface TakeOverOptions {
  /** That the cloud is to listen on; 0 for any. */
  port: number
  /** Forgets all that was known. */
  reset?: boolean
  say?: (line: string) => void
}

const PATIENCE_MS = 10_000

/**
 * A directory has one local cloud: ends the one that is still running on it, and whatever an earlier one
 * left running. Nothing is touched when the port is another program's. Returns how to give the directory back.
 */
export async function takeOver(
  directory: string,
  { port, reset = false, say = () => {} }: TakeOverOptions,
): Promise<() => void> {
  const file = join(directory, 'cloud.json')
  const other = runningOwner(file)
  if (port !== other?.port) await probePort(port)
  if (other) {
    await end(other)
    say(`Another local cloud (process ${other.pid}) ran on ${directory}: it was ended.`)
  }
  endRecordedProcesses(join(directory, 'processes'))
  if (reset) rmSync(directory, { recursive: true, force: true })
  const owner: Owner = { pid: process.pid, startTime: processStartTime(process.pid) ?? '', port }
  writeFileAtomically(file, JSON.stringify(owner))
  return () => rmSync(file, { force: true })
}

function runningOwner(file: string): Owner | undefined {
  const owner = readOwner(file)
  return owner && owner.pid !== process.pid && isRunning(owner) ? owner : undefined
}

function isRunning({ pid, startTime }: Owner): boolean {
  return processStartTime(pid) === startTime
}

async function end(owner: Owner): Promise<void> {
  process.kill(owner.pid, 'SIGTERM')
  for (const end = Date.now() + PATIENCE_MS; isRunning(owner); await setTimeout(50)) {
    if (Date.now() > end) process.kill(owner.pid, 'SIGKILL')
  }
}

function readOwner(file: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
