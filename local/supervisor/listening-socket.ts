import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { UserError } from '../../lib/user-error.ts'

/** Where systemd's socket activation puts the first socket; our own second half gets it there too. */
export const SOCKET_DESCRIPTOR = 3

const BACKLOG = 511

/**
 * Opens the listening socket and starts a program that inherits it. A Node process cannot hold a listening
 * socket that it opened without accepting connections from it, but can hold one that it inherited: so the
 * opener lets go of it at once, before its event loop turns, and the program keeps it for good.
 */
export async function spawnWithSocket(
  address: string,
  command: string,
  args: string[],
): Promise<ChildProcess> {
  const server = await listen(address)
  const program = spawn(command, args, { stdio: ['pipe', 'inherit', 'inherit', descriptorOf(server)] })
  server.close()
  return program
}

async function listen(address: string): Promise<Server> {
  const { host, port } = parseAddress(address)
  const server = createServer()
  server.listen({ host, port, backlog: BACKLOG })
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new UserError(`cannot listen on "${address}" (LISTEN): ${(cause as Error).message}`, { cause })
  }
  return server
}

function parseAddress(address: string): { host: string; port: number } {
  const [, host, port] = /^\[?([^\]]+)\]?:(\d{1,5})$/.exec(address) ?? []
  if (!host || !port) throw new UserError(`LISTEN is "${address}", which is not ADDRESS:PORT`)
  return { host, port: Number(port) }
}

/** Not in Node's documentation, but the only way to the number; a descriptor is what `stdio` takes. */
function descriptorOf(server: Server): number {
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle
  return fd
}
