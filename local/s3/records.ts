import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * Small JSON files. Written in one go, without yielding: that is what makes a conditional write atomic here.
 * They outlive a kill of the process; no fsync, since a local cloud need not outlive a power cut.
 */
export function writeRecord(file: string, record: unknown): void {
  mkdirSync(dirname(file), { recursive: true })
  const temporary = `${file}.tmp`
  writeFileSync(temporary, JSON.stringify(record))
  renameSync(temporary, file)
}

export function readRecord<T>(file: string): T {
  return JSON.parse(readFileSync(file, 'utf8'))
}

export function readRecords<T>(directory: string): T[] {
  return fileNames(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => readRecord<T>(join(directory, name)))
}

export function removeRecord(file: string): void {
  rmSync(file, { force: true, recursive: true })
}

export function fileNames(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
