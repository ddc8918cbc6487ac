import { UserError } from '../user-error.ts'
import { git } from './git.ts'
import { committedFiles, workingFiles } from './git-files.ts'
import type { Revision, RevisionWish } from './revision.ts'
import { splitNul } from './run-vcs.ts'
import { newestChange, refuseUncommitted } from './uncommitted.ts'

export async function readGitRevision(folder: string, { dirty, revision }: RevisionWish): Promise<Revision> {
  const commit = await (revision === undefined ? headCommit(folder) : namedCommit(folder, revision))
  const changes = revision === undefined ? await uncommittedChanges(folder) : []
  if (!dirty) refuseUncommitted(folder, changes)
  const name = commit.slice(0, 12)
  const committed = await commitDate(folder, commit)
  if (changes.length === 0) {
    const files: Revision['files'] = (isWanted) => committedFiles(folder, commit, isWanted)
    return { folder, name, isDirty: false, date: committed, files }
  }
  const date = await newestChange(folder, changes, committed)
  const files: Revision['files'] = (isWanted) => workingFiles(folder, isWanted)
  return { folder, name: `${name}-dirty`, isDirty: true, date, files }
}

async function headCommit(folder: string): Promise<string> {
  try {
    return (await git(folder, ['rev-parse', '--verify', 'HEAD'])).toString().trim()
  } catch (error) {
    const isUnborn = error instanceof UserError && error.message.includes('Needed a single revision')
    if (!isUnborn) throw error
    throw new UserError(`the repository of ${folder} has no commit yet: git add . && git commit`, {
      cause: error,
    })
  }
}

async function namedCommit(folder: string, revision: string): Promise<string> {
  const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`]
  const found = await git(folder, args).catch((error) => {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`"${revision}" is no commit, tag or branch in the repository of ${folder}.`, {
      cause: error,
    })
  })
  return found.toString().trim()
}

/** Paths below the folder, relative to it: of files that git knows, and of new ones that it does not ignore. */
async function uncommittedChanges(folder: string): Promise<string[]> {
  const diff = ['diff', '--name-only', '-z', '--relative', '--ignore-submodules=none', 'HEAD', '--', '.']
  const changed = await git(folder, diff)
  const added = await git(folder, ['ls-files', '-z', '--others', '--exclude-standard'])
  return [...splitNul(changed), ...splitNul(added)]
}

async function commitDate(folder: string, commit: string): Promise<Date> {
  const seconds = Number((await git(folder, ['log', '-1', '--format=%ct', commit, '--', '.'])).toString())
  return new Date(seconds * 1000)
}
