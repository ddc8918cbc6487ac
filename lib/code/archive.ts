import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { basename } from 'node:path'
import { finished } from 'node:stream/promises'
import { type EntryData, TarArchive } from 'archiver'
import ignore from 'ignore'
import { type Digest, sha256 } from '../release/digest.ts'
import { UserError } from '../user-error.ts'
import { type CodeFile, listFiles } from './list-files.ts'
import type { Revision } from './revision.ts'

export interface CodeArchive {
  file: string
  digest: Digest
  size: number
  /** How many files it holds. */
  files: number
}

export interface ArchiveOptions {
  /** What is left out, in .gitignore's patterns. */
  exclude: readonly string[]
  /** The app's own configuration file, which the target reads: left out never. */
  configuration: string
}

/** Writes the app's files at a revision as .tar.gz, the app's folder as its root; the same files give the same bytes. */
export async function archiveRevision(
  revision: Revision,
  file: string,
  { exclude, configuration }: ArchiveOptions,
): Promise<CodeArchive> {
  const kept = basename(configuration)
  const excluded = ignore().add([...exclude])
  const isWanted = (path: string) => path === kept || !excluded.ignores(path)
  const paths = await writeArchive(file, revision.date, listFiles(revision, isWanted))
  if (!paths.has(kept)) {
    throw new UserError(
      `${kept} is not in revision ${revision.name}, and no target could read it: git add ${kept} && git commit`,
    )
  }
  const content = await readFile(file)
  return { file, digest: sha256(content), size: content.length, files: paths.size }
}

async function writeArchive(file: string, date: Date, files: AsyncIterable<CodeFile>): Promise<Set<string>> {
  const temporary = `${file}.part`
  const archive = new TarArchive({ gzip: true, gzipOptions: { level: 9 } })
  const output = createWriteStream(temporary)
  archive.pipe(output)
  const paths = new Set<string>()
  for await (const entry of files) {
    await append(archive, entry, date)
    paths.add(entry.path)
  }
  await Promise.all([archive.finalize(), finished(output)])
  await rename(temporary, file)
  return paths
}

/** tar-stream's own word for a symlink's target; archiver hands it on. */
type TarEntry = EntryData & { linkname?: string }

async function append(archive: TarArchive, { path, kind, content }: CodeFile, date: Date): Promise<void> {
  const entry: TarEntry =
    kind === 'symlink'
      ? { name: path, date, type: 'symlink', mode: 0o777, linkname: content.toString('utf8') }
      : { name: path, date, mode: kind === 'executable' ? 0o755 : 0o644 }
  const added = once(archive, 'entry')
  archive.append(kind === 'symlink' ? '' : content, entry)
  const [{ name }] = await added
  // archiver mends what some systems cannot hold: it would be another file on the target.
  if (name !== path) throw new UserError(`the file name "${path}" cannot be archived: rename it.`)
}
