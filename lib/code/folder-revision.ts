import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../user-error.ts'
import { readIgnores } from './ignore-files.ts'
import type { Revision, RevisionWish } from './revision.ts'
import { newestChange } from './uncommitted.ts'
import { walkFolder, walkPaths } from './walk-folder.ts'

/** Of a folder that is in no repository: its files, named by the time of the newest one. */
export async function readFolderRevision(folder: string, { revision }: RevisionWish): Promise<Revision> {
  if (revision !== undefined)
    throw new UserError(
      `${folder} is in no git or Mercurial repository, so there is no revision "${revision}".`,
    )
  const isIgnored = readIgnores(folder)
  const isCode = (path: string) => !isClutter(folder, path) && !isIgnored(path)
  const paths: string[] = []
  for await (const path of walkPaths(folder, isCode)) paths.push(path)
  const date = await newestChange(folder, paths, new Date(0))
  const name = `files-${date.toISOString().replace(/[-:]|\.\d+/g, '')}`
  const files: Revision['files'] = (isWanted) => walkFolder(folder, (path) => isCode(path) && isWanted(path))
  return { folder, name, isDirty: false, date, files }
}

/** What no repository would hold. */
function isClutter(folder: string, path: string): boolean {
  const name = path.replace(/\/$/, '').split('/').at(-1) ?? ''
  if (CLUTTER.includes(name) || name.endsWith('.pyc')) return true
  return path.endsWith('/') && existsSync(join(folder, path, 'pyvenv.cfg'))
}

const CLUTTER = ['.git', '.hg', '__pycache__', '.DS_Store']
