import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { UserError } from '../../lib/user-error.ts'

/** How `restart`, `status` and `stop` reach the supervisor: a word on a unix socket, one JSON line back. */

const answer = z.object({
  error: z.string().optional(),
  pid: z.number().nullable().default(null),
  release: z.string().nullable().default(null),
})
export type Answer = z.infer<typeof answer>

/** A socket's path has room for 103 bytes on macOS, 107 on Linux. */
const LONGEST_PATH = 103
const REACH_SECONDS = 5

export function controlPath(runFolder: string): string {
  const path = join(resolve(runFolder), 'supervisor.sock')
  if (Buffer.byteLength(path) <= LONGEST_PATH) return path
  const digest = createHash('sha256').update(path).digest('hex').slice(0, 16)
  return join(tmpdir(), `pybundle-${digest}.sock`)
}

export async function serveControl(
  runFolder: string,
  perform: (word: string) => Promise<Partial<Answer>>,
): Promise<Server> {
  const path = controlPath(runFolder)
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    reply(socket, perform).catch(() => socket.destroy())
  })
  server.listen(path)
  await once(server, 'listening')
  chmodSync(path, 0o600)
  return server
}

async function reply(socket: Socket, perform: (word: string) => Promise<Partial<Answer>>): Promise<void> {
  const word = (await text(socket)).trim()
  const result = await perform(word).catch((error: Error) => ({ error: error.message }))
  socket.end(`${JSON.stringify(result)}\n`)
}

/** Waits a little for a supervisor that has just been started. */
export async function askSupervisor(runFolder: string, word: string): Promise<Answer> {
  const socket = await reach(controlPath(runFolder))
  socket.end(word)
  const line = await text(socket)
  if (!line) throw new UserError(`the supervisor of "${runFolder}" ended before it answered "${word}"`)
  const result = answer.parse(JSON.parse(line))
  if (result.error) throw new UserError(result.error)
  return result
}

async function reach(path: string): Promise<Socket> {
  const deadline = Date.now() + REACH_SECONDS * 1000
  for (;;) {
    const socket = connect({ path, allowHalfOpen: true })
    try {
      await once(socket, 'connect')
      return socket
    } catch (cause) {
      if (Date.now() > deadline)
        throw new UserError(`no supervisor answers on "${path}": is it running?`, { cause })
      await delay(50)
    }
  }
}
