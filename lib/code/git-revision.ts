import { UserError } from '../user-error.ts'
import { git } from './git.ts'
import { committedFiles, workingFiles } from './git-files.ts'
import type { Revision, RevisionWish } from './revision.ts'
import { splitNul, VcsError } from './run-vcs.ts'
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
    if (!(error instanceof VcsError) || !isUnnamed(error)) throw error
    throw new UserError(`the repository of ${folder} has no commit yet: git add . && git commit`, {
      cause: error,
    })
  }
}

async function namedCommit(folder: string, revision: string): Promise<string> {
  try {
    const args = ['rev-parse', '--verify', '--end-of-options', `${revision}^{commit}`]
    return (await git(folder, args)).toString().trim()
  } catch (error) {
    if (!(error instanceof VcsError) || !isUnnamed(error)) throw error
    const isShort = error.said.includes('is ambiguous')
    const what = isShort ? 'is the beginning of several commits' : 'is no commit, tag or branch'
    const remedy = isShort
      ? 'give more of it'
      : `git fetch --tags gets what is not here yet, and a server's branch is called origin/NAME`
    throw new UserError(`"${revision}" ${what} in the repository of ${folder}: ${remedy}.`, { cause: error })
  }
}

function isUnnamed({ said }: VcsError): boolean {
  return said.includes('Needed a single revision')
}

/** Paths below the folder, relative to it: of files that git knows, and of new ones that it does not ignore. */
async function uncommittedChanges(folder: string): Promise<string[]> {
  const diff = ['diff', '--name-only', '-z', '--relative', '--ignore-submodules=none', 'HEAD', '--', '.']
  const changed = await git(folder, diff)
  const added = await git(folder, ['ls-files', '-z', '--others', '--exclude-standard'])
  return [...splitNul(changed), ...splitNul(added)]
}

async function commitDate(folder: string, commit: string): Promise<Date> {
  const last = await git(folder, ['rev-list', '--max-count=1', '--timestamp', commit, '--', '.'])
  return new Date(Number.parseInt(last.toString() || '0', 10) * 1000)
}
