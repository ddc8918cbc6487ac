import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

/** One AWS service behind the shared endpoint. What it throws as a `ServiceError` the endpoint answers. */
export interface Service {
  (request: SignedRequest, response: ServerResponse): Promise<void>
  /** How the service words an error; as AWS JSON does where this is absent. */
  refuse?: (response: ServerResponse, error: ServiceError) => void
}

/** A request whose signature is verified. */
export interface SignedRequest {
  method: string
  /** Host and normalised path; `path` is what the client really sent. */
  url: URL
  /** Percent-encoded as on the wire, dot segments kept: an S3 key may hold them. */
  path: string
  headers: IncomingHttpHeaders
  /** De-chunked; reading it fails where it does not match what was signed. */
  body: Readable
  /** Trailing headers of an aws-chunked body; filled once `body` has ended. */
  trailers: Record<string, string>
  principal: string
  accessKeyId: string
  region: string
  raw: IncomingMessage
  /** Where somebody watches what is called. */
  observe?: ((call: Pick<ObservedCall, 'operation' | 'input' | 'output' | 'error'>) => void) | undefined
}

/** What was called, by whom, and what came of it, in the words of the SDK's models. */
export interface ObservedCall {
  /** The service's name in signatures: `s3`, `ssm`, ... */
  service: string
  principal: string
  headers: IncomingHttpHeaders
  operation: string
  input: object
  output?: object
  error?: unknown
}

/** Does what an operation is to do; whoever watches sees it. */
export async function observed<Output extends object>(
  { observe }: SignedRequest,
  { operation, input }: Pick<ObservedCall, 'operation' | 'input'>,
  run: () => Output | Promise<Output>,
): Promise<Output> {
  try {
    const output = await run()
    observe?.({ operation, input, output })
    return output
  } catch (error) {
    observe?.({ operation, input, error })
    throw error
  }
}

/** An error with the code and the status that AWS gives it. */
export class ServiceError extends Error {
  override name = 'ServiceError'
  readonly code: string
  readonly status: number
  /** Further elements of the answer, such as `BucketName`. */
  readonly detail: Record<string, string>

  constructor(status: number, code: string, message: string, detail: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.detail = detail
  }
}

const JSON_CODES: Record<string, string> = {
  AccessDenied: 'MissingAuthenticationTokenException',
  SignatureDoesNotMatch: 'InvalidSignatureException',
  RequestTimeTooSkewed: 'InvalidSignatureException',
  XAmzContentSHA256Mismatch: 'InvalidSignatureException',
  InvalidAccessKeyId: 'UnrecognizedClientException',
  InvalidToken: 'UnrecognizedClientException',
  ExpiredToken: 'ExpiredTokenException',
  InternalError: 'InternalServerError',
}

/** The errors of AWS JSON and REST-JSON; authentication errors are raised under S3's codes. */
export function refuseAsJson(response: ServerResponse, error: ServiceError): void {
  const code = JSON_CODES[error.code] ?? error.code
  response.writeHead(error.status, {
    'content-type': 'application/x-amz-json-1.1',
    // Node's own is as old as a second.
    date: new Date().toUTCString(),
    'x-amzn-errortype': code,
  })
  response.end(JSON.stringify({ ...error.detail, __type: code, message: error.message }))
}

/** The whole body, for services whose requests are small documents. */
export async function readBody(body: Readable, limit = 10 * 1024 * 1024): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > limit)
      throw new ServiceError(413, 'RequestEntityTooLarge', `The request is larger than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
