import { PassThrough, type Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { fromBufferPromise } from 'yauzl'
import { UserError } from '../user-error.ts'

export type CodeArchiveKind = 'tar.gz' | 'zip'

/** Reads the stream to its end; a UserError when that is no archive of an app's files. */
export async function checkCodeArchive(stream: Readable, kind: CodeArchiveKind): Promise<void> {
  try {
    const names = kind === 'zip' ? await zipNames(stream) : await tarNames(stream)
    refuseForeign(names)
  } catch (error) {
    stream.resume()
    throw error
  }
}

const CONFIGURATIONS = ['pyproject.toml', 'pybundle.toml']

function refuseForeign(names: readonly string[]): void {
  if (names.length === 0) throw new UserError('not a code archive: it holds no file.')
  if (names.some((name) => CONFIGURATIONS.includes(name))) return
  const inside = names.find((name) => CONFIGURATIONS.some((file) => name.endsWith(`/${file}`)))
  const hint = inside ? ` It has "${inside}": pack the files of that folder, without the folder.` : ''
  throw new UserError(`not a code archive: no pyproject.toml or pybundle.toml at its root.${hint}`)
}

async function tarNames(stream: Readable): Promise<string[]> {
  const names: string[] = []
  const entries = extract()
  entries.on('entry', (header, content, next) => {
    names.push(header.name.replace(/^\.\//, ''))
    // The pipeline fails with the same error; here it would end the process.
    content.on('error', () => {})
    content.on('end', next).resume()
  })
  const copy = stream.pipe(new PassThrough())
  stream.once('error', (error) => copy.destroy(error))
  try {
    await pipeline(copy, createGunzip(), entries)
  } catch (error) {
    if (stream.errored) throw stream.errored
    throw new UserError(`not a .tar.gz: ${tarComplaint(error as Error)}.`, { cause: error })
  }
  return names
}

function tarComplaint({ message }: Error): string {
  if (/incorrect header check/.test(message)) return 'it is not compressed with gzip'
  if (/unexpected end/i.test(message)) return 'it was cut off, upload it again'
  return `it is broken (${message})`
}

async function zipNames(stream: Readable): Promise<string[]> {
  const names: string[] = []
  const content = await buffer(stream)
  try {
    const zip = await fromBufferPromise(content, { lazyEntries: true, strictFileNames: true })
    for await (const entry of zip.eachEntry()) names.push(entry.fileName)
  } catch (error) {
    throw new UserError(`not a .zip: it is broken or was cut off (${(error as Error).message}).`, {
      cause: error,
    })
  }
  return names
}
