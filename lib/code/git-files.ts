import { existsSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../user-error.ts'
import { type CodeFile, readCodeFile } from './code-file.ts'
import { git } from './git.ts'
import { fromLfs } from './git-lfs.ts'
import { type GitBlob, readBlobs } from './git-objects.ts'
import { splitNul, VcsError } from './run-vcs.ts'

type IsWanted = (path: string) => boolean

interface TreeEntry extends GitBlob {
  /** Undefined for a submodule, whose object is a commit. */
  kind: CodeFile['kind'] | undefined
}

const KINDS: Record<string, CodeFile['kind']> = { 100644: 'file', 100755: 'executable', 120000: 'symlink' }

/** The folder's files in a commit, with those of its submodules at the commits that belong to it. */
export async function* committedFiles(
  folder: string,
  commit: string,
  isWanted: IsWanted,
): AsyncGenerator<CodeFile> {
  const tree = parseTree(await git(folder, ['ls-tree', '-r', '-l', '-z', commit]))
  const entries = tree.filter(({ path, kind }) => isWanted(kind ? path : `${path}/`))
  const contents = readBlobs(
    folder,
    entries.filter(({ kind }) => kind),
  )
  for (const { path, kind, object } of entries) {
    if (kind) yield fromLfs(folder, { path, kind, content: (await contents.next()).value })
    else yield* submoduleFiles(folder, { path, commit: object, isWanted })
  }
}

async function* submoduleFiles(
  folder: string,
  { path, commit, isWanted }: { path: string; commit: string; isWanted: IsWanted },
): AsyncGenerator<CodeFile> {
  const inside = join(folder, path)
  refuseAbsent(inside)
  await findCommit(inside, commit)
  yield* below(
    path,
    committedFiles(inside, commit, (name) => isWanted(`${path}/${name}`)),
  )
}

/** Of a commit that is not there, git would speak of trees. */
async function findCommit(submodule: string, commit: string): Promise<void> {
  try {
    await git(submodule, ['cat-file', '-e', `${commit}^{commit}`])
  } catch (error) {
    if (!(error instanceof VcsError) || !error.said.includes('Not a valid object name')) throw error
    throw new UserError(
      `the submodule ${submodule} does not have commit ${commit.slice(0, 12)}: git -C ${submodule} fetch`,
      { cause: error },
    )
  }
}

function refuseAbsent(submodule: string): void {
  if (existsSync(join(submodule, '.git'))) return
  throw new UserError(
    `the submodule ${submodule} is not checked out: git submodule update --init --recursive, or name it in "exclude".`,
  )
}

async function* below(folder: string, files: AsyncIterable<CodeFile>): AsyncGenerator<CodeFile> {
  for await (const file of files) yield { ...file, path: `${folder}/${file.path}` }
}

function parseTree(output: Buffer): TreeEntry[] {
  return splitNul(output)
    .map((line) => {
      const [, mode = '', object = '', size, path = ''] =
        line.match(/^(\d+) \w+ (\w+) +(\S+)\t([\s\S]*)$/) ?? []
      return { kind: KINDS[mode], object, size: Number(size), path }
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** What git knows or does not ignore, as it is on disk; of submodules too. */
export async function* workingFiles(folder: string, isWanted: IsWanted): AsyncGenerator<CodeFile> {
  const known = await git(folder, ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  // A repository within, which git does not know, ends in "/".
  const paths = splitNul(known).map((path) => path.replace(/\/$/, ''))
  for (const path of [...new Set(paths)].filter(isWanted).sort()) {
    const file = await readCodeFile(folder, path)
    if (file) yield fromLfs(folder, file)
    else if (isWanted(`${path}/`) && (await isFolder(join(folder, path)))) {
      refuseAbsent(join(folder, path))
      yield* below(
        path,
        workingFiles(join(folder, path), (name) => isWanted(`${path}/${name}`)),
      )
    }
  }
}

async function isFolder(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return found?.isDirectory() ?? false
}
