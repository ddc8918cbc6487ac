import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { writeFileAtomically } from './atomic-file.ts'
import { endRecordedProcesses, processStartTime } from './process-record.ts'

interface Owner {
  pid: number
  startTime: string
}

const PATIENCE_MS = 10_000

/**
 * A directory has one local cloud: ends the one that is still running on it, and whatever an earlier one
 * left running; with `reset` also forgets what it knew. Returns how to give the directory back.
 */
export async function takeOver(directory: string, { reset = false } = {}): Promise<() => void> {
  const file = join(directory, 'cloud.json')
  await endOwner(file)
  endRecordedProcesses(join(directory, 'processes'))
  if (reset) rmSync(directory, { recursive: true, force: true })
  const owner: Owner = { pid: process.pid, startTime: processStartTime(process.pid) ?? '' }
  writeFileAtomically(file, JSON.stringify(owner))
  return () => rmSync(file, { force: true })
}

async function endOwner(file: string): Promise<void> {
  const owner = readOwner(file)
  if (!owner || owner.pid === process.pid) return
  const isRunning = () => processStartTime(owner.pid) === owner.startTime
  if (!isRunning()) return
  process.kill(owner.pid, 'SIGTERM')
  for (const end = Date.now() + PATIENCE_MS; isRunning(); await setTimeout(50)) {
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
