import { lstat, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../user-error.ts'
import { git } from './git.ts'
import { type Revision, splitNul } from './revision.ts'

export interface CodeFile {
  /** Relative to the app's folder. */
  path: string
  kind: 'file' | 'executable' | 'symlink'
  /** A symlink's target, for one. */
  content: Buffer
}

/** The app's files at a revision, by path; whatever the app's folder is in its repository. */
export async function* listFiles(
  revision: Revision,
  isWanted: (path: string) => boolean,
): AsyncGenerator<CodeFile> {
  const files = revision.isDirty
    ? workingTree(revision.folder, isWanted)
    : committed(revision.folder, isWanted)
  yield* files
}

interface TreeEntry {
  path: string
  mode: string
  object: string
}

const KINDS: Record<string, CodeFile['kind']> = { 100644: 'file', 100755: 'executable', 120000: 'symlink' }

async function* committed(folder: string, isWanted: (path: string) => boolean): AsyncGenerator<CodeFile> {
  const entries = parseTree(await git(folder, ['ls-tree', '-r', '-z', 'HEAD'])).filter(({ path }) =>
    isWanted(path),
  )
  const contents = await readObjects(folder, entries)
  for (const [index, { path, mode }] of entries.entries()) {
    const kind = KINDS[mode]
    if (!kind) {
      throw new UserError(
        `"${path}" is a submodule, which git does not hold here. Name it in "exclude", or copy its files into the repository.`,
      )
    }
    yield { path, kind, content: contents[index] ?? Buffer.alloc(0) }
  }
}

function parseTree(output: Buffer): TreeEntry[] {
  return splitNul(output)
    .map((line) => {
      const [, mode = '', object = '', path = ''] = line.match(/^(\d+) \w+ (\w+)\t([\s\S]*)$/) ?? []
      return { mode, object, path }
    })
    .sort(byPath)
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

async function* workingTree(folder: string, isWanted: (path: string) => boolean): AsyncGenerator<CodeFile> {
  const known = await git(folder, ['ls-files', '-z', '--cached', '--others', '--exclude-standard'])
  for (const path of [...new Set(splitNul(known))].filter(isWanted).sort()) {
    const found = await lstat(join(folder, path)).catch(() => undefined)
    // Deleted, but not yet from the index; or a submodule's folder.
    if (!found || found.isDirectory()) continue
    if (found.isSymbolicLink()) {
      yield { path, kind: 'symlink', content: Buffer.from(await readlink(join(folder, path))) }
      continue
    }
    const kind = found.mode & 0o100 ? 'executable' : 'file'
    yield { path, kind, content: await readFile(join(folder, path)) }
  }
}

function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : 1
}
