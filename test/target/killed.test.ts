import { readdirSync, readlinkSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Action } from '../../lib/release/command.ts'
import type { PublishedRelease } from './artifacts.ts'
import type { TestTarget } from './target.ts'
import { Workshop } from './workshop.ts'

const SAMPLES = Number(process.env.PYBUNDLE_KILLS ?? 5)
const SEED = Number(process.env.PYBUNDLE_SEED ?? Date.now() % 1_000_000)

let workshop: Workshop
let target: TestTarget
let running: PublishedRelease
beforeAll(async () => {
  workshop = await Workshop.open('killed')
  target = await workshop.newServingTarget()
  running = await workshop.publishApp()
  await target.deploy(running)
})
afterAll(() => workshop.close())

describe('killed anywhere', () => {
  it(`serves one release or the other, whole, and the next run finishes the work (seed ${SEED})`, async () => {
    console.info(`again with PYBUNDLE_SEED=${SEED}; more with PYBUNDLE_KILLS=100`)
    const random = randomNumbers(SEED)
    for (let sample = 0; sample < SAMPLES; sample++) {
      // Another version of the wheel, so that the virtualenv is made anew each time.
      const wheels = [{ name: 'alpha', version: `1.0.${sample}` }]
      const next = await workshop.publishApp({ says: String(sample) }, { wheels })
      const token = sample + 2
      target.holdLock(token)

      await killDuring('prepare', next, token, random() * 900)
      expect(servedRelease()).toBe(running.id)
      const prepared = await target.run('prepare', next, { token })
      expect(prepared.verdict).toMatchObject({ outcome: 'done', current: running.id })

      await killDuring('activate', next, token, random() * 500)
      expect([running.id, next.id]).toContain(servedRelease())
      const activated = await target.run('activate', next, { token })
      expect(activated.verdict).toMatchObject({ outcome: 'done', current: next.id })
      running = next
    }
    await target.run('prune', undefined, { token: SAMPLES + 2 })
    expect(readdirSync(target.path('tmp'))).toEqual([])
    expect(readdirSync(target.path('venvs'))).toHaveLength(2)
    expect(readdirSync(target.path('releases'))).toHaveLength(2)
  })
})

/** The program alone, so that what it had started lives on; or its whole group, as the agent does at a time-out. */
async function killDuring(action: Action, release: PublishedRelease, token: number, milliseconds: number) {
  const child = target.start(action, release, { token })
  child.stdout?.resume()
  child.stderr?.resume()
  const ended = new Promise((resolve) => child.on('exit', resolve))
  await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, milliseconds))])
  const whole = Math.floor(milliseconds) % 2 === 0
  try {
    process.kill(whole ? -(child.pid ?? 0) : (child.pid ?? 0), 'SIGKILL')
  } catch {
    // It was faster.
  }
  await ended
}

function servedRelease(): string {
  return readlinkSync(target.path('current')).replace('releases/', '')
}

/** https://en.wikipedia.org/wiki/Linear_congruential_generator, the numbers of POSIX. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state / 0x7fffffff
  }
}
