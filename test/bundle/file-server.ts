import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { normalizeName } from '../../lib/bundle/wheel.ts'
import { sha256 } from '../../lib/release/digest.ts'

export interface FileServer {
  url: string
  /** What was sent of each file, whether or not it arrived. */
  sent: Map<string, number>
  /** No byte from here on is sent of a file. */
  cutAt: Map<string, number>
  /** Called when nothing more is sent because of that. */
  onCut: (response: ServerResponse) => void
  /** How many files were being sent at one moment, at most. */
  mostAtOnce: number
}

interface FileServerOptions {
  /** What the index says of a file; nothing at all where that is undefined. */
  digestOf?: (content: Buffer) => string | undefined
  /** Whether parts of files are given. */
  ranges?: boolean
  /** Held back until so many files are asked for. */
  together?: number
}

/** An index as PyPI is: it tells digests, and gives parts of files. */
export async function serveFiles(
  folder: string,
  { digestOf = sha256, ranges = true, together = 1 }: FileServerOptions = {},
): Promise<FileServer> {
  const state: FileServer = {
    url: '',
    sent: new Map(),
    cutAt: new Map(),
    onCut: (response) => response.destroy(),
    mostAtOnce: 0,
  }
  const waiting: (() => void)[] = []
  const sendFile = (request: IncomingMessage, response: ServerResponse, name: string) => {
    const content = readFileSync(join(folder, name))
    response.setHeader('accept-ranges', ranges ? 'bytes' : 'none')
    if (request.method === 'HEAD') return response.setHeader('content-length', content.length).end()
    const { start, end, isPart } = rangeOf(ranges ? request.headers.range : undefined, content.length)
    if (isPart) response.setHeader('content-range', `bytes ${start}-${end - 1}/${content.length}`)
    response.writeHead(isPart ? 206 : 200, { 'content-length': end - start })
    const cut = state.cutAt.get(name) ?? end
    const last = start <= cut && cut < end ? cut : end
    state.sent.set(name, (state.sent.get(name) ?? 0) + last - start)
    if (last === end) return response.end(content.subarray(start, end))
    return response.write(content.subarray(start, last), () => state.onCut(response))
  }
  const server = createServer((request, response) => {
    const [, kind = '', name = ''] = (request.url ?? '').split('/')
    if (kind === 'simple')
      return response.setHeader('content-type', 'text/html').end(page(folder, name, digestOf))
    const isWhole = request.method === 'GET' && !request.headers.range
    if (!isWhole || together === 1) return sendFile(request, response, name)
    waiting.push(() => sendFile(request, response, name))
    state.mostAtOnce = Math.max(state.mostAtOnce, waiting.length)
    if (waiting.length >= together) for (const send of waiting.splice(0)) send()
    return undefined
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/simple`
  return state
}

function page(folder: string, name: string, digestOf: (content: Buffer) => string | undefined): string {
  const files = readdirSync(folder).filter((file) => normalizeName(file.split('-')[0] ?? '') === name)
  const links = files.map((file) => {
    const digest = digestOf(readFileSync(join(folder, file)))
    return `<a href="/files/${file}${digest ? `#sha256=${digest}` : ''}">${file}</a>`
  })
  return `<!DOCTYPE html><html><body>${links.join('')}</body></html>`
}

/** As a server of files understands "bytes=10-", "bytes=10-19" and "bytes=-10". */
function rangeOf(header: string | undefined, size: number) {
  const [, first = '', last = ''] = header?.match(/^bytes=(\d*)-(\d*)$/) ?? []
  if (!first && !last) return { start: 0, end: size, isPart: false }
  const start = first ? Number(first) : Math.max(0, size - Number(last))
  return { start, end: first && last ? Math.min(size, Number(last) + 1) : size, isPart: true }
}
