import { existsSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UserError } from '../user-error.ts'
import type { CodeFile } from './code-file.ts'
import { readFolderRevision } from './folder-revision.ts'
import { readGitRevision } from './git-revision.ts'
import { readHgRevision } from './hg-revision.ts'

/** Where a code archive comes from. */
export interface Revision {
  folder: string
  /** `1a2b3c4d5e6f`, with `-dirty` when the working tree is taken as it is; `files-20260102T030405Z` without a repository. */
  name: string
  isDirty: boolean
  /** Of every file in the archive: of the last commit that touched the folder, so that the same files give the same bytes. */
  date: Date
  /** The app's files, whatever the app's folder is in its repository. */
  files(isWanted: (path: string) => boolean): AsyncIterable<CodeFile>
}

export interface RevisionWish {
  /** The working tree, if it differs from the commit. */
  dirty?: boolean | undefined
  /** A commit, tag, branch or bookmark; what is checked out otherwise. */
  revision?: string | undefined
}

/** Of git, of Mercurial, or of a folder that is in no repository. */
export async function readRevision(folder: string, wish: RevisionWish = {}): Promise<Revision> {
  if (wish.dirty && wish.revision !== undefined)
    throw new UserError('--revision takes what is committed, --dirty what is not: give one of them.')
  // A repository is above the folder itself, not above a link to it.
  const real = await realpath(folder)
  return READERS[findRepository(real) ?? 'none'](real, wish)
}

const READERS = { git: readGitRevision, hg: readHgRevision, none: readFolderRevision }

function findRepository(folder: string): 'git' | 'hg' | undefined {
  if (existsSync(join(folder, '.git'))) return 'git'
  if (existsSync(join(folder, '.hg'))) return 'hg'
  return dirname(folder) === folder ? undefined : findRepository(dirname(folder))
}
