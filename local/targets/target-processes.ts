import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { processStartTime } from '../process-record.ts'

const GRACE_MS = 4000
const POLL_MS = 50

interface Found {
  pid: number
  parent: number
  environment: string
}

/**
 * Ends every process of a target in plain directories, those in sessions of their own too. They are known by
 * the target's own folder of programs in their PATH, which all that clean their environment keep; whoever has
 * no such PATH is known by its parent.
 */
export async function endProcesses(programFolder: string, { abruptly = false } = {}): Promise<void> {
  if (!abruptly) {
    signalAll(programFolder, 'SIGTERM')
    for (const end = Date.now() + GRACE_MS; Date.now() < end; await delay(POLL_MS)) {
      if (processesOf(programFolder).length === 0) return
    }
  }
  for (; signalAll(programFolder, 'SIGKILL'); await delay(POLL_MS));
}

/** False when there is none. */
function signalAll(programFolder: string, signal: NodeJS.Signals): boolean {
  const pids = processesOf(programFolder)
  for (const pid of pids) {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended in the meantime.
    }
  }
  return pids.length > 0
}

function processesOf(programFolder: string): number[] {
  return withDescendants(({ environment }) => environment.includes(programFolder))
}

export function processesBelow(ancestor: number): number[] {
  return withDescendants(({ parent }) => parent === ancestor)
}

export async function areGone(pids: number[]): Promise<void> {
  while (pids.some((pid) => processStartTime(pid))) await delay(POLL_MS)
}

function withDescendants(isMeant: (found: Found) => boolean): number[] {
  const all = (process.platform === 'linux' ? readProc() : readPs()).filter(({ pid }) => pid !== process.pid)
  const its = new Set(all.filter(isMeant).map(({ pid }) => pid))
  for (let before = -1; before !== its.size; ) {
    before = its.size
    for (const { pid, parent } of all) if (its.has(parent)) its.add(pid)
  }
  return [...its]
}

function readProc(): Found[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? [])
}

function readProcess(pid: number): Found | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command's name, in parentheses, may hold spaces and parentheses itself.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (state === 'Z') return undefined
    return { pid, parent: Number(parent), environment: readEnvironment(pid) }
  } catch {
    return undefined
  }
}

/** Somebody else's process does not show it. */
function readEnvironment(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return ''
  }
}

/** Where there is no /proc; `-E` adds the environment to the command. */
function readPs(): Found[] {
  const table = execFileSync('ps', ['-A', '-E', '-ww', '-o', 'pid=,ppid=,command='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  return table.split('\n').flatMap((line) => {
    const [, pid, parent, environment = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []
    return pid ? [{ pid: Number(pid), parent: Number(parent), environment }] : []
  })
}
