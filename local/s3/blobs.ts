import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Algorithm, type Checksum, startChecksum } from './checksums.ts'

export interface Blob {
  id: string
  size: number
}

export interface WrittenBlob extends Blob {
  /** hex */
  md5: string
  checksum: Checksum
}

/** Bytes on disk. A blob is written once, under a fresh name, and counts only when a record names it. */
export class Blobs {
  private readonly directory: string
  private readonly readers = new Map<string, number>()
  private readonly doomed = new Set<string>()

  constructor(directory: string) {
    this.directory = directory
    mkdirSync(directory, { recursive: true })
  }

  async write(content: AsyncIterable<Buffer>, algorithm: Algorithm): Promise<WrittenBlob> {
    const id = randomUUID()
    const md5 = createHash('md5')
    const running = startChecksum(algorithm)
    let size = 0
    async function* measured() {
      for await (const chunk of content) {
        md5.update(chunk)
        running.update(chunk)
        size += chunk.length
        yield chunk
      }
    }
    try {
      await writeFile(this.path(id), measured(), { flag: 'wx' })
    } catch (error) {
      this.remove([{ id, size }])
      throw error
    }
    const value = Buffer.from(await running.digest()).toString('base64')
    return { id, size, md5: md5.digest('hex'), checksum: { algorithm, value, type: 'FULL_OBJECT' } }
  }

  /** Bytes `start` to `end` (inclusive) of the blobs laid end to end. They stay readable until it is closed. */
  read(blobs: readonly Blob[], start = 0, end = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
    for (const { id } of blobs) this.readers.set(id, (this.readers.get(id) ?? 0) + 1)
    return this.stream(blobs, start, end)
  }

  private async *stream(blobs: readonly Blob[], start: number, end: number): AsyncGenerator<Buffer> {
    try {
      let offset = 0
      for (const { id, size } of blobs) {
        const from = Math.max(start - offset, 0)
        const to = Math.min(end - offset, size - 1)
        if (from <= to) yield* createReadStream(this.path(id), { start: from, end: to })
        offset += size
      }
    } finally {
      this.release(blobs)
    }
  }

  /** Those that are being read are deleted by their last reader. */
  remove(blobs: readonly Blob[]): void {
    for (const { id } of blobs) {
      if (this.readers.has(id)) this.doomed.add(id)
      else rmSync(this.path(id), { force: true })
    }
  }

  /** What a crash left behind: blobs that no record names. */
  removeAllBut(kept: ReadonlySet<string>): void {
    for (const id of readdirSync(this.directory)) {
      if (!kept.has(id)) rmSync(this.path(id), { force: true })
    }
  }

  private release(blobs: readonly Blob[]): void {
    for (const blob of blobs) {
      const left = (this.readers.get(blob.id) ?? 1) - 1
      if (left > 0) {
        this.readers.set(blob.id, left)
        continue
      }
      this.readers.delete(blob.id)
      if (this.doomed.delete(blob.id)) this.remove([blob])
    }
  }

  private path(id: string): string {
    return join(this.directory, id)
  }
}
