import { type AddressInfo, createServer, type Server } from 'node:net'
import { UserError } from '../../lib/user-error.ts'

export const LOOPBACK = '127.0.0.1'

/** Gives the port, which the system chose for 0. */
export async function listen(server: Server, port: number, host = LOOPBACK): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explainListen(error, `${host}:${port}`)))
    server.listen(port, host, resolve)
  })
  return (server.address() as AddressInfo).port
}

/** A UserError when nothing can listen there now. */
export async function probePort(port: number): Promise<void> {
  const server = createServer()
  await listen(server, port)
  await new Promise((resolve) => server.close(resolve))
}

export function explainListen(error: NodeJS.ErrnoException, address: string): Error {
  const why = REASONS[error.code ?? '']
  return why ? new UserError(`The local cloud cannot listen on ${address}: ${why}`, { cause: error }) : error
}

const REASONS: Record<string, string> = {
  EADDRINUSE: 'another program uses this port. Stop it, or choose another port with --port.',
  EACCES: 'only root may use this port. Choose one above 1023 with --port.',
}
