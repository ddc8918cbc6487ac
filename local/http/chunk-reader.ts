import { ServiceError } from './service.ts'

const MAX_LINE = 8 * 1024

/** Lines and counted bytes out of a stream of chunks of any size. */
export class ChunkReader {
  private readonly source: AsyncIterator<Buffer>
  private pending: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.source = source[Symbol.asyncIterator]()
  }

  async line(): Promise<string> {
    const line = await this.lineOrEnd()
    if (line === undefined) throw incomplete('the body ends between two chunks')
    return line
  }

  /** Undefined at the end of the body; some clients leave out the last empty line. */
  async lineOrEnd(): Promise<string | undefined> {
    let end = this.pending.indexOf('\r\n')
    while (end < 0) {
      if (this.pending.length > MAX_LINE) throw malformed('a line is too long')
      if (!(await this.more())) {
        if (this.pending.length > 0) throw incomplete('the body ends within a line')
        return undefined
      }
      end = this.pending.indexOf('\r\n')
    }
    const line = this.pending.toString('latin1', 0, end)
    this.pending = this.pending.subarray(end + 2)
    return line
  }

  async bytes(size: number): Promise<Buffer> {
    const parts: Buffer[] = []
    let missing = size
    while (missing > 0) {
      if (this.pending.length === 0 && !(await this.more())) throw incomplete('the body ends within a chunk')
      const part = this.pending.subarray(0, missing)
      this.pending = this.pending.subarray(part.length)
      missing -= part.length
      parts.push(part)
    }
    return Buffer.concat(parts)
  }

  private async more(): Promise<boolean> {
    const next = await this.source.next()
    if (next.done) return false
    this.pending = this.pending.length > 0 ? Buffer.concat([this.pending, next.value]) : next.value
    return true
  }
}

export const malformed = (why: string) =>
  new ServiceError(400, 'InvalidRequest', `The aws-chunked body is malformed: ${why}.`)

export const incomplete = (why: string) =>
  new ServiceError(400, 'IncompleteBody', `The request body terminated unexpectedly: ${why}.`)
