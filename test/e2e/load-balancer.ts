import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createProxyServer } from 'http-proxy-3'

const CHECK_EVERY_MS = 500
const CHECK_TIMEOUT_MS = 2000
const FAILED_CHECKS = 2

/** Which releases a target's answers came from, in the order in which they first did. */
export type Served = Map<string, string[]>

/**
 * As a load balancer in front of a fleet: round robin over those that pass a health check. Each request goes to
 * one target, once, over a connection of its own; what fails there has failed for whoever asked.
 */
export async function startLoadBalancer(targets: readonly string[]) {
  const failedChecks = new Map<string, number>()
  const served: Served = new Map(targets.map((target) => [target, []]))
  const proxy = createProxyServer()
  let requests = 0

  proxy.on('proxyRes', ({ headers }, { headers: { 'x-sent-to': target = '' } }) => {
    const releases = served.get(String(target))
    const release = String(headers['x-release'])
    if (releases && releases.at(-1) !== release) releases.push(release)
  })

  const server = createServer((request, response) => {
    const healthy = targets.filter((target) => (failedChecks.get(target) ?? 0) < FAILED_CHECKS)
    const target = healthy[requests++ % healthy.length]
    if (!target) return response.writeHead(503).end()
    request.headers['x-sent-to'] = target
    proxy.web(request, response, { target }, (error: Error) => response.writeHead(502).end(error.message))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const check = async (target: string) => {
    const isHealthy = await fetch(`${target}/health`, { signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) })
      .then(({ ok }) => ok)
      .catch(() => false)
    failedChecks.set(target, isHealthy ? 0 : (failedChecks.get(target) ?? 0) + 1)
  }
  const checks = setInterval(() => targets.map(check), CHECK_EVERY_MS)

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    served,
    get requests() {
      return requests
    },
    async close() {
      clearInterval(checks)
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
