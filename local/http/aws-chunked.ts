import { createHash } from 'node:crypto'
import type { SignatureV4 } from '@smithy/signature-v4'
import type { ClaimedSignature } from './claimed-signature.ts'
import { ServiceError } from './service.ts'

export interface ChunkedBody {
  isSigned: boolean
  hasTrailer: boolean
  claimed: ClaimedSignature
  signer: SignatureV4
  decodedLength: number
  /** The names in `x-amz-trailer`. */
  announcedTrailers: string
  /** Filled with the trailing headers. */
  trailers: Record<string, string>
}

const MAX_LINE = 8 * 1024
const MAX_CHUNK = 16 * 1024 * 1024
const EMPTY_HASH = createHash('sha256').digest('hex')

/** Takes off S3's own framing: `<hex size>[;chunk-signature=<hex>]\r\n<bytes>\r\n`, ..., `0\r\n`, trailing headers. */
export async function* decodeChunks(
  source: AsyncIterable<Buffer>,
  body: ChunkedBody,
): AsyncGenerator<Buffer> {
  const reader = new ChunkReader(source)
  const chain = new SignatureChain(body)
  let length = 0
  for (;;) {
    const { size, signature } = readChunkHeader(await reader.line())
    const chunk = await reader.bytes(size)
    if (body.isSigned) await chain.verifyChunk(chunk, signature)
    if (size === 0) break
    if ((await reader.line()) !== '') throw malformed('a chunk is longer than its size says')
    length += size
    yield chunk
  }
  if (length !== body.decodedLength)
    throw incomplete(`${length} bytes came, ${body.decodedLength} were announced`)
  await readTrailers(reader, body, chain)
}

async function readTrailers(reader: ChunkReader, body: ChunkedBody, chain: SignatureChain): Promise<void> {
  let signature = ''
  let signed = ''
  for (let line = await reader.lineOrEnd(); line; line = await reader.lineOrEnd()) {
    const [name = '', value = ''] = line.split(/:(.*)/s, 2).map((text) => text.trim())
    if (name.toLowerCase() === 'x-amz-trailer-signature') {
      signature = value
      continue
    }
    body.trailers[name.toLowerCase()] = value
    signed += `${name.toLowerCase()}:${value}\n`
  }
  const announced = body.announcedTrailers.split(',').flatMap((name) => name.trim().toLowerCase() || [])
  if (announced.sort().join() !== Object.keys(body.trailers).sort().join()) {
    throw malformed(`the trailing headers are not those that x-amz-trailer announced (${announced})`)
  }
  if (body.isSigned && body.hasTrailer) await chain.verifyTrailer(signed, signature)
}

function readChunkHeader(line: string): { size: number; signature: string } {
  const [, hex, signature = ''] = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/.exec(line) ?? []
  if (!hex) throw malformed('a chunk does not begin with its size')
  const size = Number.parseInt(hex, 16)
  if (size > MAX_CHUNK) throw malformed(`a chunk is larger than ${MAX_CHUNK} bytes`)
  return { size, signature }
}

/** Each chunk's signature covers the one before it; the first covers the request's own. */
class SignatureChain {
  private readonly body: ChunkedBody
  private previous: string

  constructor(body: ChunkedBody) {
    this.body = body
    this.previous = body.claimed.signature
  }

  verifyChunk(chunk: Buffer, signature: string): Promise<void> {
    return this.verify('AWS4-HMAC-SHA256-PAYLOAD', `${EMPTY_HASH}\n${sha256(chunk)}`, signature)
  }

  verifyTrailer(headers: string, signature: string): Promise<void> {
    return this.verify('AWS4-HMAC-SHA256-TRAILER', sha256(headers), signature)
  }

  private async verify(algorithm: string, content: string, signature: string): Promise<void> {
    const { signer, claimed } = this.body
    const time = claimed.date.toISOString().replace(/[-:]|\.\d+/g, '')
    const text = [algorithm, time, claimed.scope, this.previous, content].join('\n')
    const expected = await signer.sign(text, { signingDate: claimed.date })
    if (expected !== signature) {
      throw new ServiceError(
        403,
        'SignatureDoesNotMatch',
        'A chunk of the body does not match its signature.',
      )
    }
    this.previous = signature
  }
}

class ChunkReader {
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

const sha256 = (content: Buffer | string) => createHash('sha256').update(content).digest('hex')

const malformed = (why: string) =>
  new ServiceError(400, 'InvalidRequest', `The aws-chunked body is malformed: ${why}.`)

const incomplete = (why: string) =>
  new ServiceError(400, 'IncompleteBody', `The request body terminated unexpectedly: ${why}.`)
