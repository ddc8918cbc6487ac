import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Where bundles, built wheels and the like are kept between runs; safe to delete at any time. */
export function cacheFolder(environment = process.env): string {
  return join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'pybundle')
}

/** Makes a folder of the cache once, and whole or not at all. */
export async function keepFolder(folder: string, fill: (folder: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return
  const temporary = `${folder}.${randomUUID().slice(0, 8)}`
  await mkdir(temporary, { recursive: true })
  try {
    await fill(temporary)
    await rename(temporary, folder)
  } catch (error) {
    // Somebody else may have made the same meanwhile: theirs is as good.
    if (!existsSync(folder)) throw error
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}
