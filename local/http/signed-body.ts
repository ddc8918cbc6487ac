import { createHash, type Hash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { type SignatureV4, UNSIGNED_PAYLOAD } from '@smithy/signature-v4'
import { decodeChunks } from './aws-chunked.ts'
import type { ClaimedSignature } from './claimed-signature.ts'
import { ServiceError } from './service.ts'

/** The body as the client meant it: its framing is taken off, and the stream fails where a hash or signature does. */
export function verifiedBody(
  raw: IncomingMessage,
  claimed: ClaimedSignature,
  signer: SignatureV4,
  trailers: Record<string, string>,
): Readable {
  const announced = raw.headers['x-amz-content-sha256'] ?? claimed.query['X-Amz-Content-Sha256']
  const content = String(announced ?? UNSIGNED_PAYLOAD)
  if (content === UNSIGNED_PAYLOAD) return Readable.from(wholeBody(raw))
  if (/^[0-9a-f]{64}$/.test(content)) return Readable.from(hashedBody(wholeBody(raw), content))
  const decodedLength = Number(raw.headers['x-amz-decoded-content-length'] ?? Number.NaN)
  const framing = FRAMINGS[content]
  if (!framing) {
    throw new ServiceError(
      400,
      'InvalidArgument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, ' +
        'STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.',
    )
  }
  if (!Number.isInteger(decodedLength)) {
    throw new ServiceError(
      411,
      'MissingContentLength',
      'You must provide the x-amz-decoded-content-length header.',
    )
  }
  return Readable.from(
    decodeChunks(wholeBody(raw), {
      ...framing,
      claimed,
      signer,
      decodedLength,
      trailers,
      announcedTrailers: String(raw.headers['x-amz-trailer'] ?? ''),
    }),
  )
}

const FRAMINGS: Record<string, { isSigned: boolean; hasTrailer: boolean }> = {
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD': { isSigned: true, hasTrailer: false },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER': { isSigned: true, hasTrailer: true },
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER': { isSigned: false, hasTrailer: true },
}

/** A connection lost halfway is the client's error, not ours. */
async function* wholeBody(raw: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    // Ending early must not destroy the connection: the refusal is still to be sent on it.
    yield* raw.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw new ServiceError(400, 'IncompleteBody', `The request body terminated unexpectedly. ${cause}`)
  }
}

async function* hashedBody(body: AsyncIterable<Buffer>, expected: string): AsyncGenerator<Buffer> {
  const hash: Hash = createHash('sha256')
  for await (const chunk of body) {
    hash.update(chunk)
    yield chunk
  }
  const computed = hash.digest('hex')
  if (computed === expected) return
  throw new ServiceError(
    400,
    'XAmzContentSHA256Mismatch',
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
    { ClientComputedContentSHA256: expected, S3ComputedContentSHA256: computed },
  )
}
