import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { readFile, rename, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { finished } from 'node:stream/promises'
import { type EntryData, TarArchive } from 'archiver'
import ignore from 'ignore'
import { type Digest, sha256 } from '../release/digest.ts'
import { UserError } from '../user-error.ts'
import { checkCodeArchive } from './check-archive.ts'
import type { CodeFile } from './code-file.ts'
import type { Revision } from './revision.ts'
import { looksSecret, refuseSecrets } from './secrets.ts'

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
  /** What looks like a secret and is to be archived, in the same patterns. */
  includeSecrets?: readonly string[]
  /** The app's own configuration file, which the target reads: left out never. */
  configuration: string
}

/** Writes the app's files at a revision as .tar.gz, the app's folder as its root; the same files give the same bytes. */
export async function archiveRevision(
  revision: Revision,
  file: string,
  { exclude, includeSecrets = [], configuration }: ArchiveOptions,
): Promise<CodeArchive> {
  const kept = basename(configuration)
  const excluded = ignore().add([...exclude])
  const allowed = ignore().add([...includeSecrets])
  const isWanted = (path: string) => path === kept || !excluded.ignores(path)
  const isSecret = (each: CodeFile) => looksSecret(each) && !allowed.ignores(each.path)
  const secrets: string[] = []
  const files = watch(revision.files(isWanted), (each) => isSecret(each) && secrets.push(each.path))
  const temporary = `${file}.part`
  try {
    const paths = await writeArchive(temporary, revision.date, files)
    if (!paths.has(kept)) throw new UserError(absentMessage(kept, revision))
    refuseSecrets(secrets, kept)
    await checkCodeArchive(createReadStream(temporary), 'tar.gz')
    await rename(temporary, file)
    const content = await readFile(file)
    return { file, digest: sha256(content), size: content.length, files: paths.size }
  } finally {
    await rm(temporary, { force: true })
  }
}

function absentMessage(kept: string, { name }: Revision): string {
  return `${kept} is not in revision ${name}, and no target could read it: commit it, and let nothing ignore it.`
}

async function* watch(
  files: AsyncIterable<CodeFile>,
  look: (file: CodeFile) => void,
): AsyncGenerator<CodeFile> {
  for await (const file of files) {
    look(file)
    yield file
  }
}

async function writeArchive(file: string, date: Date, files: AsyncIterable<CodeFile>): Promise<Set<string>> {
  const archive = new TarArchive({ gzip: true, gzipOptions: { level: 9 } })
  const output = createWriteStream(file)
  archive.pipe(output)
  const paths = new Set<string>()
  for await (const entry of files) {
    await append(archive, entry, date)
    paths.add(entry.path)
  }
  await Promise.all([archive.finalize(), finished(output)])
  return paths
}

/** tar-stream's own word for a symlink's target; archiver hands it on. */
type TarEntry = EntryData & { linkname?: string }

async function append(archive: TarArchive, { path, kind, content }: CodeFile, date: Date): Promise<void> {
  const entry: TarEntry =
    kind === 'symlink'
      ? { name: path, date, type: 'symlink', mode: 0o777, linkname: content.toString('utf8') }
      : { name: path, date, mode: kind === 'executable' ? 0o755 : 0o644 }
  // What is not UTF-8 was replaced while it was read.
  if (path.includes('\uFFFD')) throw new UserError(`the file name "${path}" is not UTF-8: rename it.`)
  const added = once(archive, 'entry')
  archive.append(kind === 'symlink' ? '' : content, entry)
  const [{ name }] = await added
  // archiver mends what some systems cannot hold: it would be another file on the target.
  if (name !== path) throw new UserError(`the file name "${path}" cannot be archived: rename it.`)
}
