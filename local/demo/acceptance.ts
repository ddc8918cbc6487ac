import { setTimeout as sleep } from 'node:timers/promises'

/** What an app says of itself on its health page. */
export interface Report {
  release: string
  migration: number
  /** Of the process that answered. */
  pid: number
  status: string
}

export interface Expected {
  release: string
  migration: number
}

/** The first promise of the demo that did not hold. */
export class BrokenPromise extends Error {
  override name = 'BrokenPromise'
}

export async function askApp(url: string): Promise<Report> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) })
  const report = (await response.json()) as Report
  if (response.headers.get('x-release') === report.release) return report
  throw new BrokenPromise(
    `${url} names two releases: ${report.release} and ${response.headers.get('x-release')}`,
  )
}

export async function expectServed(url: string, { release, migration }: Expected): Promise<Report> {
  const report = await askApp(url)
  if (report.release === release && report.migration === migration && report.status === 'ok') return report
  throw new BrokenPromise(
    `${url} should serve ${release} at migration ${migration}, but says ${JSON.stringify(report)}`,
  )
}

export function expectEqual(what: string, actual: unknown, expected: unknown): void {
  const [found, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (found !== wanted) throw new BrokenPromise(`${what}: expected ${wanted}, found ${found}`)
}

/** Asks again until an answer comes; what it was at the end of the time is the error. */
export async function eventually<T>(
  what: string,
  seconds: number,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000
  let last: unknown = 'no answer'
  while (performance.now() < deadline) {
    const answer = await ask().catch((error: Error) => {
      last = error.message
      return undefined
    })
    if (answer !== undefined) return answer
    await sleep(250)
  }
  throw new BrokenPromise(`${what}: not within ${seconds} seconds (${last})`)
}
