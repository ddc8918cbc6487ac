import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { HttpRequest } from '@smithy/core/protocols'
import { Hash } from '@smithy/core/serde'
import { MAX_PRESIGNED_TTL, SignatureV4, UNSIGNED_PAYLOAD } from '@smithy/signature-v4'
import type { CredentialStore, KnownSecret } from '../credentials.ts'
import { type ClaimedSignature, readClaimedSignature } from './claimed-signature.ts'
import { readBody, ServiceError, type SignedRequest } from './service.ts'
import { verifiedBody } from './signed-body.ts'

const MAX_SKEW_MS = 15 * 60 * 1000
const sha256 = Hash.bind(null, 'sha256')

/** Signs anew what the client says it signed, with the secret that we know, and compares. */
export async function verifyRequest(raw: IncomingMessage, store: CredentialStore): Promise<SignedRequest> {
  const claimed = readClaimedSignature(raw)
  const secret = knownSecret(claimed, store)
  checkTime(claimed)
  checkSignedHeaders(raw, claimed)

  const signer = new SignatureV4({
    credentials: { accessKeyId: claimed.accessKeyId, ...secret },
    region: claimed.region,
    service: claimed.service,
    sha256,
    uriEscapePath: claimed.service !== 's3',
    applyChecksum: false,
  })
  const hashed = claimed.presigned || raw.headers['x-amz-content-sha256'] !== undefined
  if (!hashed && claimed.service === 's3') throw missingHash()
  // Clients of other services may leave the header out and sign the hash of the body itself.
  const unhashed = hashed ? undefined : await readBody(raw)
  const signature = await expectedSignature(signer, raw, claimed, unhashed)
  if (!isEqual(signature, claimed.signature)) {
    throw new ServiceError(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    )
  }
  const trailers: Record<string, string> = {}
  return {
    method: raw.method ?? 'GET',
    url: claimed.url,
    path: claimed.path,
    headers: raw.headers,
    body: unhashed ? Readable.from([unhashed]) : verifiedBody(raw, claimed, signer, trailers),
    trailers,
    principal: secret.principal,
    accessKeyId: claimed.accessKeyId,
    region: claimed.region,
    raw,
  }
}

const missingHash = () =>
  new ServiceError(400, 'InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')

function knownSecret(claimed: ClaimedSignature, store: CredentialStore): KnownSecret {
  const secret = store.secretFor(claimed.accessKeyId)
  if (!secret) {
    throw new ServiceError(
      403,
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      { AWSAccessKeyId: claimed.accessKeyId },
    )
  }
  if (secret.sessionToken !== claimed.sessionToken) {
    throw new ServiceError(403, 'InvalidToken', 'The provided token is malformed or otherwise invalid.')
  }
  if (secret.expiration && secret.expiration.getTime() < Date.now()) {
    throw new ServiceError(400, 'ExpiredToken', 'The provided token has expired.')
  }
  return secret
}

function checkTime({ date, expiresSeconds }: ClaimedSignature): void {
  const age = Date.now() - date.getTime()
  if (age < -MAX_SKEW_MS || (expiresSeconds === undefined && age > MAX_SKEW_MS)) {
    throw new ServiceError(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
      {
        RequestTime: date.toISOString(),
        ServerTime: new Date().toISOString(),
        MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
      },
    )
  }
  if (expiresSeconds === undefined) return
  if (!(expiresSeconds > 0 && expiresSeconds <= MAX_PRESIGNED_TTL)) {
    throw new ServiceError(
      400,
      'AuthorizationQueryParametersError',
      'X-Amz-Expires must be between 1 and 604800 seconds',
    )
  }
  if (age > expiresSeconds * 1000) throw new ServiceError(403, 'AccessDenied', 'Request has expired')
}

/** An unsigned `x-amz-` header could have been added on the way: it changes what the request means. */
function checkSignedHeaders(raw: IncomingMessage, { signedHeaders }: ClaimedSignature): void {
  const unsigned = Object.keys(raw.headers).filter(
    (name) => name.startsWith('x-amz-') && !signedHeaders.has(name),
  )
  if (!signedHeaders.has('host')) unsigned.push('host')
  if (unsigned.length === 0) return
  throw new ServiceError(
    403,
    'AccessDenied',
    'There were headers present in the request which were not signed',
    {
      HeadersNotSigned: unsigned.join(', '),
    },
  )
}

async function expectedSignature(
  signer: SignatureV4,
  raw: IncomingMessage,
  claimed: ClaimedSignature,
  body?: Buffer,
): Promise<string> {
  const headers: Record<string, string> = {}
  for (const name of claimed.signedHeaders) headers[name] = String(raw.headers[name] ?? '')
  const request = new HttpRequest({
    method: raw.method ?? 'GET',
    path: claimed.path,
    query: claimed.query,
    headers,
    body,
  })
  const options = { signingDate: claimed.date, signableHeaders: claimed.signedHeaders }
  if (!claimed.presigned) {
    const signed = await signer.sign(request, options)
    return /Signature=([0-9a-f]+)/.exec(signed.headers.authorization ?? '')?.[1] ?? ''
  }
  // A body that is neither text nor bytes is what makes the signer write UNSIGNED-PAYLOAD.
  const presigned = await signer.presign(Object.assign(request, { body: { unsigned: UNSIGNED_PAYLOAD } }), {
    ...options,
    expiresIn: claimed.expiresSeconds ?? 0,
    unhoistableHeaders: claimed.signedHeaders,
  })
  return String(presigned.query?.['X-Amz-Signature'])
}

function isEqual(expected: string, given: string): boolean {
  return expected.length === given.length && timingSafeEqual(Buffer.from(expected), Buffer.from(given))
}
