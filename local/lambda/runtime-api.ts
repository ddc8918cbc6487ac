import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readBody } from '../http/endpoint.ts'

export interface Invocation {
  requestId: string
  payload: Buffer
  functionArn: string
}

export type InvocationResult = { payload: Buffer; error?: 'Unhandled' }

export interface RuntimeApi {
  address: string
  /** Resolves when the process has answered; never, when it dies before. */
  invoke(invocation: Invocation, onDelivered: () => number): Promise<InvocationResult>
  close(): void
}

interface Current extends Invocation {
  /** Called when the process takes the invocation; gives its deadline. */
  onDelivered: () => number
  resolve: (result: InvocationResult) => void
}

/** The Runtime API (2018-06-01) for one process of a function. */
export async function startRuntimeApi(): Promise<RuntimeApi> {
  let waiting: ServerResponse | undefined
  let current: Current | undefined
  let initError: Buffer | undefined

  const finish = (result: InvocationResult) => {
    current?.resolve(result)
    current = undefined
  }
  const deliver = () => {
    if (!current) return
    if (initError) return finish({ payload: initError, error: 'Unhandled' })
    if (!waiting) return
    waiting.writeHead(200, {
      'content-type': 'application/json',
      'lambda-runtime-aws-request-id': current.requestId,
      'lambda-runtime-invoked-function-arn': current.functionArn,
      'lambda-runtime-deadline-ms': String(current.onDelivered()),
    })
    waiting.end(current.payload)
    waiting = undefined
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url?.replace('/2018-06-01/runtime/', '') ?? ''
    if (path === 'invocation/next') {
      waiting = response
      return deliver()
    }
    const payload = await readBody(request)
    response.writeHead(202).end()
    if (path === 'init/error') {
      initError = payload
      return deliver()
    }
    const [, id, kind] = path.split('/')
    if (id === current?.requestId) finish(kind === 'error' ? { payload, error: 'Unhandled' } : { payload })
  }

  const server = createServer({ requestTimeout: 0 }, (request, response) => {
    // A connection that breaks means that the process died, which its exit tells.
    answer(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    invoke: (invocation, onDelivered) =>
      new Promise((resolve) => {
        current = { ...invocation, onDelivered, resolve }
        deliver()
      }),
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
