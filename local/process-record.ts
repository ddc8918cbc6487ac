import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The processes that the local cloud has running, on disk: who starts next ends those that were left. */
export interface ProcessRecord {
  add(pid: number): void
  remove(pid: number): void
}

/** Each recorded process leads a group of its own, which ends with it. */
export function openProcessRecord(directory: string): ProcessRecord {
  mkdirSync(directory, { recursive: true })
  return {
    add(pid) {
      const startTime = processStartTime(pid)
      if (startTime) writeFileSync(join(directory, String(pid)), startTime)
    },
    remove: (pid) => rmSync(join(directory, String(pid)), { force: true }),
  }
}

/** Ends what an earlier local cloud left running; a number that another process has by now is passed over. */
export function endRecordedProcesses(directory: string): void {
  mkdirSync(directory, { recursive: true })
  for (const name of readdirSync(directory)) {
    const file = join(directory, name)
    const pid = Number(name)
    if (processStartTime(pid) === readFileSync(file, 'utf8')) killGroup(pid)
    rmSync(file, { force: true })
  }
}

/** Tells processes with the same number apart; undefined when there is none. */
export function processStartTime(pid: number): string | undefined {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The command's name, in parentheses, may hold spaces and parentheses itself.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return fields[0] === 'Z' ? undefined : fields[19]
    }
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

function killGroup(pid: number): void {
  for (const id of [-pid, pid]) {
    try {
      process.kill(id, 'SIGKILL')
    } catch {
      // It has ended in the meantime.
    }
  }
}
