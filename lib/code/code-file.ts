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
  refuseMangled(path)
  const file = join(folder, path)
  const found = await lstat(file).catch(() => undefined)
  if (!found || found.isDirectory()) return undefined
  if (found.isSymbolicLink()) return { path, kind: 'symlink', content: await readlink(file, 'buffer') }
  if (!found.isFile())
    throw new UserError(`"${path}" is a socket, a pipe or a device: remove it, or name it in "exclude".`)
  const content = await readFile(file).catch((error) => refuseUnreadable(path, error))
  return { path, kind: found.mode & 0o100 ? 'executable' : 'file', content }
}

/** What is not UTF-8 was replaced when the name was read, so that nothing is found by it. */
export function refuseMangled(path: string): void {
  if (!path.includes('\uFFFD')) return
  throw new UserError(`the file name "${path}" is not UTF-8: rename it, or name it in "exclude".`)
}

export function refuseUnreadable(path: string, error: NodeJS.ErrnoException): never {
  const why = REASONS[error.code ?? '']
  if (!why) throw error
  throw new UserError(`"${path}" ${why}: mend that, or name it in "exclude".`, { cause: error })
}

const REASONS: Record<string, string> = {
  EACCES: 'may not be read by you',
  EPERM: 'may not be read by you',
  ERR_FS_FILE_TOO_LARGE: 'is larger than 2 GiB',
}
