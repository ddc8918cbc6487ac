import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { UserError } from '../user-error.ts'
import { type CodeFile, readCodeFile } from './code-file.ts'
import { hg } from './hg.ts'
import type { Revision, RevisionWish } from './revision.ts'
import { splitNul } from './run-vcs.ts'
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
    if (!(error instanceof UserError) || !/unknown revision|parse error|ambiguous/.test(error.message))
      throw error
    throw new UserError(
      `"${revision}" is no commit, tag, branch or bookmark in the repository of ${folder}.`,
      { cause: error },
    )
  })
  const [node = '', ...others] = found.toString().trim().split('\n')
  if (others.length > 0) throw new UserError(`"${revision}" names ${others.length + 1} commits in ${folder}.`)
  if (/^0*$/.test(node))
    throw new UserError(`the repository of ${folder} has no commit checked out: hg add && hg commit`)
  return node
}

/** Paths below the folder, relative to it, of files in one of the states. */
async function listStatus(folder: string, states: string): Promise<string[]> {
  return splitNul(await hg(folder, ['status', states, '--no-status', '--print0', '--subrepos', '.']))
}

async function commitDate(folder: string, node: string): Promise<Date> {
  const last = `--rev=max(::${node} and file("relpath:."))`
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
    await hg(folder, ['archive', `--rev=${node}`, ...options, '--include=.', join(temporary, 'files')])
    yield* walkFolder(join(temporary, 'files', relative(root, folder)), isWanted)
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
