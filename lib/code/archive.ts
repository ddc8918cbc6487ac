import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type EntryData, TarArchive } from 'archiver'
import ignore from 'ignore'
import type { Digest } from '../release/digest.ts'
import { UserError } from '../user-error.ts'
import { CodeCheck } from './code-check.ts'
import { type CodeFile, refuseMangled } from './code-file.ts'
import type { Revision } from './revision.ts'

export interface CodeArchive extends Written {
  file: string
}

interface Written {
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

/** Repositories hold the credentials of their servers, and all that was ever deleted. */
const REPOSITORIES = ['.git', '.hg', '.svn', '.bzr']

/** Writes the app's files at a revision as .tar.gz, the app's folder as its root; the same files give the same bytes. */
export async function archiveRevision(
  revision: Revision,
  file: string,
  { exclude, includeSecrets = [], configuration }: ArchiveOptions,
): Promise<CodeArchive> {
  const kept = basename(configuration)
  const excluded = ignore({ ignorecase: false }).add([...REPOSITORIES, ...exclude])
  const isWanted = (path: string) => path === kept || !excluded.ignores(path)
  const check = new CodeCheck(kept, includeSecrets)
  const temporary = `${file}.part`
  try {
    const written = await writeArchive(temporary, revision.date, check.passing(revision.files(isWanted)))
    check.refuse(revision.name)
    await rename(temporary, file)
    return { file, ...written }
  } finally {
    await rm(temporary, { force: true })
  }
}

async function writeArchive(file: string, date: Date, files: AsyncIterable<CodeFile>): Promise<Written> {
  const archive = new TarArchive({ gzip: true, gzipOptions: { level: 9 } })
  const meter = new Meter()
  const broken = new AbortController()
  const writing = pipeline(archive, (chunks) => meter.pass(chunks), createWriteStream(file))
  writing.catch((error) => broken.abort(error))
  let count = 0
  try {
    for await (const entry of files) {
      await append(archive, entry, { date, signal: broken.signal })
      count += 1
    }
    await Promise.all([archive.finalize(), writing])
  } catch (error) {
    archive.destroy()
    throw explainFull(broken.signal.aborted ? broken.signal.reason : error, file)
  }
  return { ...meter.measured(), files: count }
}

class Meter {
  readonly #hash = createHash('sha256')
  #size = 0

  async *pass(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      this.#hash.update(chunk)
      this.#size += chunk.length
      yield chunk
    }
  }

  measured(): { digest: Digest; size: number } {
    return { digest: this.#hash.digest('hex'), size: this.#size }
  }
}

function explainFull(error: unknown, file: string): unknown {
  if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') return error
  const remedy = 'make room there, or name another folder in TMPDIR'
  return new UserError(`no space for the code archive in ${dirname(file)}: ${remedy}.`, { cause: error })
}

/** tar-stream's own word for a symlink's target; archiver hands it on. */
type TarEntry = EntryData & { linkname?: string }

async function append(
  archive: TarArchive,
  { path, kind, content }: CodeFile,
  { date, signal }: { date: Date; signal: AbortSignal },
): Promise<void> {
  refuseMangled(path)
  const entry: TarEntry =
    kind === 'symlink'
      ? { name: path, date, type: 'symlink', mode: 0o777, linkname: content.toString('utf8') }
      : { name: path, date, mode: kind === 'executable' ? 0o755 : 0o644 }
  const added = once(archive, 'entry', { signal })
  archive.append(kind === 'symlink' ? '' : content, entry)
  const [{ name }] = await added
  // archiver mends what some systems cannot hold: it would be another file on the target.
  if (name !== path)
    throw new UserError(`the file name "${path}" cannot be archived: rename it, or name it in "exclude".`)
}
