import { existsSync } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../user-error.ts'
import { type CodeFile, readCodeFile } from './code-file.ts'
import { git } from './git.ts'
import { splitNul } from './run-vcs.ts'

type IsWanted = (path: string) => boolean

interface TreeEntry {
  path: string
  mode: string
  object: string
}

const KINDS: Record<string, CodeFile['kind']> = { 100644: 'file', 100755: 'executable', 120000: 'symlink' }

/** The folder's files in a commit, with those of its submodules at the commits that belong to it. */
export async function* committedFiles(
  folder: string,
  commit: string,
  isWanted: IsWanted,
): AsyncGenerator<CodeFile> {
  const tree = parseTree(await git(folder, ['ls-tree', '-r', '-z', commit]))
  const entries = tree.filter(({ path, mode }) => isWanted(KINDS[mode] ? path : `${path}/`))
  const contents = await readObjects(folder, entries)
  for (const [index, { path, mode, object }] of entries.entries()) {
    const kind = KINDS[mode]
    if (kind) yield { path, kind, content: contents[index] ?? Buffer.alloc(0) }
    else yield* submoduleFiles(folder, { path, commit: object, isWanted })
  }
}

async function* submoduleFiles(
  folder: string,
  { path, commit, isWanted }: { path: string; commit: string; isWanted: IsWanted },
): AsyncGenerator<CodeFile> {
  const inside = join(folder, path)
  refuseAbsent(folder, path)
  // Of a commit that is not there, git would speak of trees.
  await git(inside, ['cat-file', '-e', `${commit}^{commit}`]).catch((error) => {
    if (!(error instanceof UserError)) throw error
    throw new UserError(
      `the submodule "${path}" does not have commit ${commit.slice(0, 12)}: git submodule update`,
      { cause: error },
    )
  })
  yield* below(
    path,
    committedFiles(inside, commit, (name) => isWanted(`${path}/${name}`)),
  )
}

function refuseAbsent(folder: string, path: string): void {
  if (existsSync(join(folder, path, '.git'))) return
  throw new UserError(
    `the submodule "${path}" is not checked out here: git submodule update --init, or name it in "exclude".`,
  )
}

async function* below(folder: string, files: AsyncIterable<CodeFile>): AsyncGenerator<CodeFile> {
  for await (const file of files) yield { ...file, path: `${folder}/${file.path}` }
}

function parseTree(output: Buffer): TreeEntry[] {
  return splitNul(output)
    .map((line) => {
      const [, mode = '', object = '', path = ''] = line.match(/^(\d+) \w+ (\w+)\t([\s\S]*)$/) ?? []
      return { mode, object, path }
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** All contents through one process; `cat-file --batch` answers "<object> <type> <size>", then the bytes. */
async function readObjects(folder: string, entries: TreeEntry[]): Promise<Buffer[]> {
  const blobs = entries.filter(({ mode }) => KINDS[mode])
  const output = await git(folder, ['cat-file', '--batch'], blobs.map(({ object }) => `${object}\n`).join(''))
  const found = new Map<string, Buffer>()
  for (let at = 0; at < output.length; ) {
    const headEnd = output.indexOf(10, at)
    const [object = '', , size = ''] = output.toString('latin1', at, headEnd).split(' ')
    const end = headEnd + 1 + Number(size)
    found.set(object, output.subarray(headEnd + 1, end))
    at = end + 1
  }
  return entries.map(({ object }) => found.get(object) ?? Buffer.alloc(0))
}

/** What git knows or does not ignore, as it is on disk; of submodules too. */
export async function* workingFiles(folder: string, isWanted: IsWanted): AsyncGenerator<CodeFile> {
  const known = await git(folder, ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  // A repository within, which git does not know, ends in "/".
  const paths = splitNul(known).map((path) => path.replace(/\/$/, ''))
  for (const path of [...new Set(paths)].filter(isWanted).sort()) {
    const file = await readCodeFile(folder, path)
    if (file) yield file
    else if (isWanted(`${path}/`) && (await isFolder(join(folder, path)))) {
      refuseAbsent(folder, path)
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
