import { lstat, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../user-error.ts'

export interface CodeFile {
  /** Relative to the app's folder. */
  path: string
  kind: 'file' | 'executable' | 'symlink'
  /** A symlink's target, for one. */
  content: Buffer
}

/** Undefined for a folder, and where nothing is. */
export async function readCodeFile(folder: string, path: string): Promise<CodeFile | undefined> {
  const file = join(folder, path)
  const found = await lstat(file).catch(() => undefined)
  if (!found || found.isDirectory()) return undefined
  if (found.isSymbolicLink()) return { path, kind: 'symlink', content: Buffer.from(await readlink(file)) }
  if (!found.isFile())
    throw new UserError(`"${path}" is a socket, a pipe or a device: remove it, or name it in "exclude".`)
  return { path, kind: found.mode & 0o100 ? 'executable' : 'file', content: await readFile(file) }
}
