import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Processes that work in, were started from, or were told of a folder; Linux only. */
export function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => mentions(pid, folder))
    .map((pid) => `${pid} ${read(pid, 'cmdline').replaceAll('\0', ' ')}`)
}

function mentions(pid: string, folder: string): boolean {
  return [read(pid, 'cmdline'), read(pid, 'environ'), workingDirectory(pid)].some((text) =>
    text.includes(folder),
  )
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

function workingDirectory(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}
