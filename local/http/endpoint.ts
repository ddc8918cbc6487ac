import { randomBytes, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { CredentialStore } from '../credentials.ts'
import { claimedService } from './claimed-signature.ts'
import { LOOPBACK, listen } from './listen.ts'
import { type ObservedCall, refuseAsJson, type Service, ServiceError } from './service.ts'
import { verifyRequest } from './signature.ts'

export {
  type ObservedCall,
  observed,
  readBody,
  type Service,
  ServiceError,
  type SignedRequest,
} from './service.ts'

export interface EndpointOptions {
  /** 0 lets the system choose a free one. */
  port: number
  host?: string
  credentials: CredentialStore
  /** By the service's name in the credential scope of a signature: `s3`, `ssm`, `lambda`, ... */
  services: Record<string, Service>
  /** Sees each call that a service knew, when it has been answered. */
  onCall?: ((call: ObservedCall) => void) | undefined
}

export interface Endpoint {
  url: string
  /** Ends open connections too: a kept-alive one would hold the process. */
  close(): Promise<void>
}

/** All services on one loopback port, as `AWS_ENDPOINT_URL` wants it. */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const { port, host = LOOPBACK } = options
  // Node's limit of five minutes a request would cut a slow upload.
  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    void answer(request, response, options)
  })
  const listening = await listen(server, port, host)
  return {
    url: `http://${host}:${listening}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(
  raw: IncomingMessage,
  response: ServerResponse,
  options: EndpointOptions,
): Promise<void> {
  // S3 names a request in one way, the other services in another.
  response.setHeader('x-amz-request-id', randomBytes(8).toString('hex').toUpperCase())
  response.setHeader('x-amzn-requestid', randomUUID())
  let service: Service | undefined
  try {
    // A request without any signature is answered as S3 answers the anonymous public.
    const name = claimedService(raw) ?? 's3'
    service = Object.hasOwn(options.services, name) ? options.services[name] : undefined
    const request = await verifyRequest(raw, options.credentials)
    if (!service) {
      throw new ServiceError(404, 'UnknownOperationException', `The local cloud has no service "${name}".`)
    }
    const { onCall } = options
    const { principal, headers } = request
    const observe =
      onCall && ((call: object) => onCall({ service: name, principal, headers, ...call } as ObservedCall))
    await service({ ...request, observe }, response)
  } catch (error) {
    refuse(raw, response, service, error)
  }
}

function refuse(
  raw: IncomingMessage,
  response: ServerResponse,
  service: Service | undefined,
  error: unknown,
): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  if (!(error instanceof ServiceError)) console.error(`${raw.method} ${raw.url}:`, error)
  const refusal =
    error instanceof ServiceError
      ? error
      : new ServiceError(500, 'InternalError', 'We encountered an internal error. Please try again.')
  const word = service?.refuse ?? refuseAsJson
  word(response, refusal)
  // What is left of the body is read, or the client would see a reset connection instead of the answer.
  raw.resume()
}
