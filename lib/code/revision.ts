import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../user-error.ts'
import { git } from './git.ts'

/** Where a code archive comes from. */
export interface Revision {
  folder: string
  /** `1a2b3c4d5e6f`, with `-dirty` when the working tree is taken as it is. */
  name: string
  isDirty: boolean
  /** Of every file in the archive: of the last commit that touched the folder, so that the same files give the same bytes. */
  date: Date
}

/** The commit that is checked out, or with `dirty` the working tree. */
export async function readRevision(folder: string, { dirty = false } = {}): Promise<Revision> {
  await refuseOutsideRepository(folder)
  const commit = await headCommit(folder)
  const changes = await uncommittedChanges(folder)
  if (changes.length > 0 && !dirty) throw new UserError(uncommittedMessage(folder, changes))
  const isDirty = dirty && changes.length > 0
  const date = isDirty ? await newestChange(folder, changes) : await lastCommitDate(folder)
  return { folder, name: `${commit.slice(0, 12)}${isDirty ? '-dirty' : ''}`, isDirty, date }
}

async function refuseOutsideRepository(folder: string): Promise<void> {
  try {
    await git(folder, ['rev-parse', '--show-toplevel'])
  } catch (error) {
    const isOutside = error instanceof UserError && error.message.includes('not a git repository')
    if (!isOutside) throw error
    throw new UserError(
      `${folder} is in no git repository, so there is no revision to publish. Make it one: git init && git add . && git commit -m "First revision"`,
      { cause: error },
    )
  }
}

async function headCommit(folder: string): Promise<string> {
  try {
    return (await git(folder, ['rev-parse', '--verify', 'HEAD'])).toString().trim()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`the repository of ${folder} has no commit yet: git add . && git commit`, {
      cause: error,
    })
  }
}

/** Paths below the folder, relative to it: of files that git knows, and of new ones that it does not ignore. */
async function uncommittedChanges(folder: string): Promise<string[]> {
  const changed = await git(folder, ['diff', '--name-only', '-z', '--relative', 'HEAD', '--', '.'])
  const added = await git(folder, ['ls-files', '-z', '--others', '--exclude-standard'])
  return [...splitNul(changed), ...splitNul(added)]
}

export function splitNul(output: Buffer): string[] {
  return output.toString('utf8').split('\0').filter(Boolean)
}

function uncommittedMessage(folder: string, changes: string[]): string {
  const shown = changes.slice(0, 5).map((path) => `  ${path}`)
  const more = changes.length > shown.length ? [`  and ${changes.length - shown.length} more`] : []
  return [
    `uncommitted changes in ${folder}:`,
    ...shown,
    ...more,
    'Commit them, or publish the files as they are with --dirty.',
  ].join('\n')
}

async function lastCommitDate(folder: string): Promise<Date> {
  const seconds = Number((await git(folder, ['log', '-1', '--format=%ct', 'HEAD', '--', '.'])).toString())
  return new Date(seconds * 1000)
}

async function newestChange(folder: string, changes: string[]): Promise<Date> {
  const times = changes.map(async (path) => {
    const found = await lstat(join(folder, path)).catch(() => undefined)
    return Math.floor((found?.mtimeMs ?? 0) / 1000) * 1000
  })
  return new Date(Math.max((await lastCommitDate(folder)).getTime(), ...(await Promise.all(times))))
}
