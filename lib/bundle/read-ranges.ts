import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { fromRandomAccessReaderPromise, RandomAccessReader, type ZipFile } from 'yauzl'

/** Something of which parts can be read: a file, an object in S3, or a stored member of either. */
export interface RangeSource {
  size: number
  /** Bytes `start` to `end`, both included. */
  read(start: number, end: number): Promise<Uint8Array>
}

export async function withFile<T>(file: string, use: (source: RangeSource) => Promise<T>): Promise<T> {
  const handle = await open(file)
  try {
    return await use({ size: (await handle.stat()).size, read: readFrom(handle) })
  } finally {
    await handle.close()
  }
}

export function partOf({ read }: RangeSource, offset: number, size: number): RangeSource {
  return { size, read: (start, end) => read(offset + start, offset + end) }
}

export function openRanges(source: RangeSource): Promise<ZipFile> {
  const options = { autoClose: false, lazyEntries: true, strictFileNames: true }
  return fromRandomAccessReaderPromise(new RangeReader(source), source.size, options)
}

function readFrom(handle: FileHandle): RangeSource['read'] {
  return async (start, end) => {
    const { buffer, bytesRead } = await handle.read({
      buffer: Buffer.alloc(end - start + 1),
      position: start,
    })
    return buffer.subarray(0, bytesRead)
  }
}

class RangeReader extends RandomAccessReader {
  readonly #source: RangeSource

  constructor(source: RangeSource) {
    super()
    this.#source = source
  }

  /** yauzl's end is exclusive. */
  override _readStreamForRange(start: number, end: number): Readable {
    const source = this.#source
    return Readable.from(
      (async function* () {
        for (let from = start; from < end; from += CHUNK) {
          yield await source.read(from, Math.min(from + CHUNK, end) - 1)
        }
      })(),
    )
  }
}

const CHUNK = 8 * 1024 * 1024
