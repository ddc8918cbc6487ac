import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../user-error.ts'
import { firstLines } from './first-lines.ts'

export function refuseUncommitted(folder: string, changes: readonly string[]): void {
  if (changes.length === 0) return
  throw new UserError(
    [
      `uncommitted changes in ${folder}:`,
      ...firstLines(changes, 5),
      'Commit them, or publish the files as they are with --dirty.',
    ].join('\n'),
  )
}

/** In whole seconds, as archives hold it. */
export async function newestChange(folder: string, paths: readonly string[], since: Date): Promise<Date> {
  const times = paths.map(async (path) => {
    const found = await lstat(join(folder, path)).catch(() => undefined)
    return Math.floor((found?.mtimeMs ?? 0) / 1000) * 1000
  })
  return new Date(Math.max(since.getTime(), ...(await Promise.all(times))))
}
