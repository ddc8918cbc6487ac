import { createHash } from 'node:crypto'
import type { SignatureV4 } from '@smithy/signature-v4'
import { ChunkReader, incomplete, malformed } from './chunk-reader.ts'
import type { ClaimedSignature } from './claimed-signature.ts'
import { ServiceError } from './service.ts'

export interface ChunkedBody {
  isSigned: boolean
  hasTrailer: boolean
  claimed: Pick<ClaimedSignature, 'date' | 'scope' | 'signature'>
  signer: SignatureV4
  decodedLength: number
  /** The names in `x-amz-trailer`. */
  announcedTrailers: string
  /** Filled with the trailing headers. */
  trailers: Record<string, string>
}

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

const sha256 = (content: Buffer | string) => createHash('sha256').update(content).digest('hex')
