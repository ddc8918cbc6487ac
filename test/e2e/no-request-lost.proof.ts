import { appendFile, cp } from 'node:fs/promises'
import { join } from 'node:path'
import autocannon, { type Result } from 'autocannon'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CloudTarget } from '../../local/fleets.ts'
import { type Served, startLoadBalancer } from './load-balancer.ts'
import { ROOT, type TeamAtWork, teamAtWork } from './team-at-work.ts'

const CONNECTIONS = 20
/** What two cores hold beside a rollout over five targets. */
const REQUESTS_PER_SECOND = 80
const ROLLED_BACK = 3

/** Who is asked this slowly always has requests under way, which a restart could lose. */
const SLOW_PAGES = `
import time

guestbook = application


def application(environ, start_response):
    if environ["PATH_INFO"] == "/":
        time.sleep(0.2)
    return guestbook(environ, start_response)
`

let team: TeamAtWork
let fleet: CloudTarget[]

beforeAll(async () => {
  team = await teamAtWork({ targets: 5, environment: 'production' })
  // As they come in the waves.
  fleet = team.fleet.toSorted((a, b) => a.instanceId.localeCompare(b.instanceId))
  await appendFile(join(team.app, 'guestbook/app.py'), SLOW_PAGES)
  await team.commit('slow')
  expect((await team.pybundle('publish-release', '--environment', 'production')).exitCode).toBe(0)
}, 120_000)
afterAll(() => team?.close())

const publish = (...args: string[]) =>
  team.pybundle('publish-release', '--environment', 'production', '--json', ...args)

interface Load {
  /** What autocannon saw. */
  seen: Result
  /** How many requests the load balancer was sent. */
  sent: number
  served: Served
}

/** Sends requests for as long as the work takes, each of them once. */
async function underLoad<T>(work: () => Promise<T>): Promise<Load & { result: T }> {
  const balancer = await startLoadBalancer(fleet.map(({ url }) => url))
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  const sending = autocannon(
    { url: balancer.url, connections: CONNECTIONS, overallRate: REQUESTS_PER_SECOND, duration: 600 },
    (error: Error | null, seen: Result) => (error ? reject(error) : resolve(seen)),
  )
  try {
    const result = await work()
    sending.stop()
    return { result, seen: await promise, sent: balancer.requests, served: balancer.served }
  } finally {
    await balancer.close()
  }
}

function expectNoneLost(what: string, { seen, sent }: Load): void {
  const { errors, timeouts, non2xx, mismatches, latency } = seen
  const failed = errors + timeouts + non2xx + mismatches
  console.log(
    `${what}: ${sent} requests, ${failed} failed; the slowest took ${latency.max} ms, 99 % at most ${latency.p99} ms`,
  )
  expect({ errors, timeouts, non2xx, mismatches }).toEqual({
    errors: 0,
    timeouts: 0,
    non2xx: 0,
    mismatches: 0,
  })
  // Those under way when the sending stops have no answer yet.
  expect(seen['2xx']).toBeGreaterThanOrEqual(sent - CONNECTIONS)
  expect(sent).toBeGreaterThan(5 * REQUESTS_PER_SECOND)
}

describe('no request is lost', () => {
  it('while a rollout goes over five targets', async () => {
    await team.write('NEWS.md', 'the second release')
    await team.commit('second')

    const { result, ...load } = await underLoad(() => publish())

    expect(result.exitCode).toBe(0)
    expectNoneLost('rollout', load)
    for (const { url } of fleet)
      expect(load.served.get(url), `${url} served the old and the new`).toHaveLength(2)
  }, 180_000)

  it('while a rollout that fails in its last wave is taken back by itself', async () => {
    for (const revision of ['2', '3']) {
      await cp(join(ROOT, 'examples/guestbook/revisions', revision), team.app, { recursive: true })
    }
    await team.commit('healthy only where somebody can be notified')
    const reached = fleet.slice(0, 3)
    for (const { instanceId } of reached) await tellEnvironment(instanceId, 'OWNER_ADDRESS=owner@example.com')

    const { result, ...load } = await underLoad(() => publish())

    expect(result.exitCode).toBe(ROLLED_BACK)
    expectNoneLost('automatic rollback', load)
    for (const { url } of reached) {
      const [before, between, after] = load.served.get(url) ?? []
      expect(between).not.toBe(before)
      expect(after).toBe(before)
    }
  }, 180_000)
})

async function tellEnvironment(instanceId: string, line: string): Promise<void> {
  const root = join(team.directory, 'cloud', 'targets', instanceId, 'root')
  await appendFile(join(root, 'opt/pybundle/guestbook/shared/.env'), `${line}\n`)
}
