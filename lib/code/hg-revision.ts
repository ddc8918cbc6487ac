import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { UserError } from '../user-error.ts'
import { type CodeFile, readCodeFile } from './code-file.ts'
import { hg } from './hg.ts'
import type { Revision, RevisionWish } from './revision.ts'
import { splitNul, VcsError } from './run-vcs.ts'
import { newestChange, refuseUncommitted } from './uncommitted.ts'
import { walkFolder } from './walk-folder.ts'

/** Mercurial's, with its subrepositories. */
export async function readHgRevision(folder: string, { dirty, revision }: RevisionWish): Promise<Revision> {
  const node = await findNode(folder, revision ?? '.')
  const changes = revision === undefined ? await listStatus(folder, '-mardu') : []
  if (!dirty) refuseUncommitted(folder, changes)
  const name = node.slice(0, 12)
  const committed = await commitDate(folder, node)
  if (changes.length === 0) {
    const files: Revision['files'] = (isWanted) => committedFiles(folder, node, isWanted)
    return { folder, name, isDirty: false, date: committed, files }
  }
  const date = await newestChange(folder, changes, committed)
  const files: Revision['files'] = (isWanted) => workingFiles(folder, isWanted)
  return { folder, name: `${name}-dirty`, isDirty: true, date, files }
}

async function findNode(folder: string, revision: string): Promise<string> {
  const found = await hg(folder, ['log', `--rev=${revision}`, '--template={node}\n']).catch((error) => {
    if (!(error instanceof VcsError)) throw error
    throw unnamed(folder, revision, error) ?? error
  })
  const [node = '', ...others] = found.toString().trim().split('\n')
  if (others.length > 0) throw new UserError(`"${revision}" names ${others.length + 1} commits in ${folder}.`)
  if (/^0*$/.test(node))
    throw new UserError(`the repository of ${folder} has no commit checked out: hg add && hg commit`)
  return node
}

function unnamed(folder: string, revision: string, error: VcsError): UserError | undefined {
  const isShort = /ambiguous/.test(error.said)
  if (!isShort && !/unknown revision|parse error/.test(error.said)) return undefined
  const what = isShort ? 'is the beginning of several commits' : 'is no commit, tag, branch or bookmark'
  const remedy = isShort ? 'give more of it' : 'hg pull gets what is not here yet'
  return new UserError(`"${revision}" ${what} in the repository of ${folder}: ${remedy}.`, { cause: error })
}

/** Paths below the folder, relative to it, of files in one of the states. */
async function listStatus(folder: string, states: string): Promise<string[]> {
  return splitNul(await hg(folder, ['status', states, '--no-status', '--print0', '--subrepos', '.']))
}

async function commitDate(folder: string, node: string): Promise<Date> {
  // By date: numbers of revisions are another clone's own.
  const last = `--rev=last(sort(::${node} and file("relpath:."), date))`
  const [seconds] = (await hg(folder, ['log', last, '--template={date|hgdate}'])).toString().split(' ')
  return new Date(Number(seconds) * 1000)
}

async function* committedFiles(
  folder: string,
  node: string,
  isWanted: (path: string) => boolean,
): AsyncGenerator<CodeFile> {
  const root = (await hg(folder, ['root', '--template={reporoot}'])).toString()
  const temporary = await mkdtemp(join(tmpdir(), 'pybundle-'))
  const options = ['--type=files', '--subrepos', '--no-decode', '--config=ui.archivemeta=false']
  try {
    const target = join(temporary, 'files')
    await hg(folder, ['archive', `--rev=${node}`, ...options, '--include=relpath:.', target])
    yield* walkFolder(join(target, relative(root, folder)), isWanted)
  } catch (error) {
    const isEmpty = error instanceof VcsError && error.said.includes('no files match')
    if (!isEmpty) throw error
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

async function* workingFiles(folder: string, isWanted: (path: string) => boolean): AsyncGenerator<CodeFile> {
  for (const path of (await listStatus(folder, '-macu')).filter(isWanted).sort()) {
    const file = await readCodeFile(folder, path)
    if (file) yield file
  }
}
