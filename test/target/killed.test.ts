import { cpSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Action } from '../../lib/release/command.ts'
import type { PublishedRelease } from './artifacts.ts'
import { listing } from './pip-virtualenv.ts'
import { losePower } from './power-loss.ts'
import { asOrdinaryUser, ROLLOUT, stopApp, type TestTarget } from './target.ts'
import { thisPython } from './this-python.ts'
import { Workshop } from './workshop.ts'

const TRACER = fileURLToPath(new URL('tracer.py', import.meta.url))
/** Of each action; "all" is each step that there is. */
const SAMPLES = process.env.PYBUNDLE_KILLS === 'all' ? Infinity : Number(process.env.PYBUNDLE_KILLS ?? 3)
const SEED = Number(process.env.PYBUNDLE_SEED ?? Date.now() % 1_000_000)

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open('killed')
  console.info(
    `again with PYBUNDLE_SEED=${SEED}; at more steps with npm run test:proofs, at each with PYBUNDLE_KILLS=all`,
  )
})
afterAll(() => workshop.close())

/** Two wheels that nothing shares, so that each of its steps is taken. */
const wheelsOf = (version: string) =>
  ['alpha', 'beta'].map((name) => ({
    name,
    version,
    files: {
      [`${name}/__init__.py`]: `VERSION = "${version}"\n`,
      [`${name}-${version}.dist-info/entry_points.txt`]: `[console_scripts]\n${name} = ${name}:main\n`,
    },
  }))

describe(`killed at any step (seed ${SEED})`, () => {
  it('prepare leaves what runs alone, and the next one makes what it would have made', async () => {
    const target = await tracedTarget()
    const old = await workshop.publishApp({ says: 'old' })
    await target.deploy(old)
    const next = await workshop.publishApp(
      { settings: ['shared_paths = ["media"]'] },
      { wheels: wheelsOf('1.1') },
    )
    const keepState = snapshot(target)
    const made = await wholeRun(target, 'prepare', next)
    const whole = listing(target.home)
    await eachStep(made.steps, async (step) => {
      keepState.restore()
      await killAt(target, step, 'prepare', next)
      expect(served(target)).toBe(old.id)
      expect((await target.run('prepare', next)).verdict).toMatchObject({ outcome: 'done', current: old.id })
      expect(alike(listing(target.home))).toEqual(alike(whole))
      expect(readdirSync(target.path('tmp'))).toEqual([])
    })
  })

  it('prepare and a power cut leave what the next one makes whole', async () => {
    const target = await tracedTarget()
    const old = await workshop.publishApp({ says: 'old' })
    await target.deploy(old)
    const next = await workshop.publishApp({ says: 'power' }, { wheels: wheelsOf('1.6') })
    const keepState = snapshot(target)
    const made = await wholeRun(target, 'prepare', next)
    const whole = alike(listing(target.home))
    const [durable, random] = [join(target.root, 'durable'), randomNumbers(SEED)]
    await eachStep(made.steps, async (step) => {
      keepState.restore()
      rmSync(durable, { recursive: true, force: true })
      cpSync(target.home, durable, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true })
      target.environment.TRACE_DURABLE = `${target.home}:${durable}`
      await killAt(target, step, 'prepare', next)
      delete target.environment.TRACE_DURABLE
      losePower(target.home, durable, random)
      expect(served(target)).toBe(old.id)
      expect((await target.run('prepare', next)).verdict).toMatchObject({ outcome: 'done', current: old.id })
      expect(alike(listing(target.home))).toEqual(whole)
    })
  })

  it('prepare on a disk that is full from any step on says so, and the next one makes the same', async () => {
    const target = await tracedTarget()
    const old = await workshop.publishApp({ says: 'old' })
    await target.deploy(old)
    const next = await workshop.publishApp({ says: 'full' }, { wheels: wheelsOf('1.5') })
    const keepState = snapshot(target)
    const made = await wholeRun(target, 'prepare', next)
    const whole = alike(listing(target.home))
    await eachStep(made.steps, async (step) => {
      keepState.restore()
      target.environment.TRACE_FULL = String(step)
      const { verdict } = await target.run('prepare', next)
      delete target.environment.TRACE_FULL
      if (verdict.outcome !== 'done') {
        expect(verdict).toMatchObject({ outcome: 'failed', current: old.id })
        expect(verdict.reason).toMatch(/No space left|prepare_command failed|could not be/)
      }
      expect((await target.run('prepare', next)).verdict).toMatchObject({ outcome: 'done', current: old.id })
      expect(alike(listing(target.home))).toEqual(whole)
    })
  })

  it('prepare on a file system that takes no change at all says so', async () => {
    const target = await tracedTarget()
    target.environment.TRACE_READ_ONLY = 'yes'
    const { verdict } = await target.run('prepare', await workshop.publishApp())
    expect(verdict).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/Read-only file system/),
    })
  })

  it('activate serves one release or the other, and the next one finishes the work', async () => {
    const target = await tracedTarget(await workshop.newServingTarget())
    const releases = [await workshop.publishApp({ says: 'one' }), await workshop.publishApp({ says: 'two' })]
    const [one, two] = releases as [PublishedRelease, PublishedRelease]
    target.holdLock(1)
    for (const release of releases) await target.run('prepare', release)
    await target.run('activate', one)
    const made = await wholeRun(target, 'activate', two)
    let [to, from] = [one, two]
    await eachStep(made.steps, async (step) => {
      await killAt(target, step, 'activate', to)
      expect([one.id, two.id]).toContain(served(target))
      expect((await target.run('activate', to)).verdict).toMatchObject({ outcome: 'done', current: to.id })
      ;[to, from] = [from, to]
    })
    stopApp(target)
  })

  it('revert serves one release or the other, and the next one finishes the work', async () => {
    const target = await tracedTarget(await workshop.newServingTarget())
    const [one, two] = [
      await workshop.publishApp({ says: 'one' }),
      await workshop.publishApp({ says: 'two' }),
    ]
    await target.deploy(one)
    await target.deploy(two)
    const made = await wholeRun(target, 'revert', two)
    await eachStep(made.steps, async (step) => {
      await target.deploy(two)
      await killAt(target, step, 'revert', two)
      expect([one.id, two.id]).toContain(served(target))
      expect((await target.run('revert', two)).verdict).toMatchObject({ outcome: 'done', current: one.id })
    })
    stopApp(target)
  })

  it('catch-up serves one release or the other, and the next one finishes the work', async () => {
    const target = await tracedTarget(await workshop.newServingTarget())
    const [old, next] = [
      await workshop.publishApp({ says: 'old' }),
      await workshop.publishApp({ says: 'next' }),
    ]
    await target.deploy(old)
    const keepState = snapshot(target)
    const isNext = { current: { release: next.id, ...next.digests } }
    target.setState(isNext)
    const made = await wholeRun(target, 'catch-up')
    await eachStep(made.steps, async (step) => {
      stopApp(target)
      keepState.restore()
      await killAt(target, step, 'catch-up')
      expect([old.id, next.id]).toContain(served(target))
      const { verdict } = await target.run('catch-up')
      expect(verdict).toMatchObject({ outcome: 'done', current: next.id })
    })
    stopApp(target)
  })

  it('migrate runs the migration once', async () => {
    const target = await tracedTarget()
    const release = await workshop.publish(
      { 'pyproject.toml': '[tool.pybundle]\nmigrate_command = "echo once >>times"\n' },
      { wheels: [] },
    )
    target.holdLock(1)
    await target.run('prepare', release)
    const keepState = snapshot(target)
    const made = await wholeRun(target, 'migrate', release, { rollout: ROLLOUT })
    await eachStep(made.steps, async (step) => {
      keepState.restore()
      await killAt(target, step, 'migrate', release, { rollout: ROLLOUT })
      const { verdict } = await target.run('migrate', release, { rollout: ROLLOUT })
      expect(verdict).toMatchObject({ outcome: 'done', reason: 'migrated' })
      expect(target.read('releases', release.id, 'times')).toBe('once\n')
    })
  })

  it('prune takes away no more than it would have, and the next one the rest', async () => {
    const target = await tracedTarget(await workshop.newTarget({ keep_releases: 2 }))
    for (const version of ['1.2', '1.3', '1.4']) {
      await target.deploy(await workshop.publishApp({ says: version }, { wheels: wheelsOf(version) }))
    }
    const keepState = snapshot(target)
    const made = await wholeRun(target, 'prune')
    const whole = alike(listing(target.home))
    await eachStep(made.steps, async (step) => {
      keepState.restore()
      await killAt(target, step, 'prune')
      expect(alike(listing(target.home))).toMatchObject(whole)
      await target.run('prune')
      expect(alike(listing(target.home))).toEqual(whole)
    })
  })
})

async function tracedTarget(made?: TestTarget): Promise<TestTarget> {
  const target = made ?? (await workshop.newTarget())
  target.runAs((await thisPython()).executable, await asOrdinaryUser(), TRACER)
  return target
}

/** Traced to its end: how many steps it has. */
async function wholeRun(target: TestTarget, action: Action, release?: PublishedRelease, asked = {}) {
  const steps = join(target.root, 'steps')
  writeFileSync(steps, '')
  target.environment.TRACE_STEPS = steps
  const { verdict } = await target.run(action, release, asked)
  delete target.environment.TRACE_STEPS
  expect(verdict.outcome).toBe('done')
  return { steps: readFileSync(steps, 'utf8').trim().split('\n').length }
}

async function eachStep(steps: number, work: (step: number) => Promise<void>): Promise<void> {
  const all = Array.from({ length: steps }, (_, index) => index + 1)
  const random = randomNumbers(SEED)
  while (all.length > SAMPLES) all.splice(Math.floor(random() * all.length), 1)
  for (const step of all) {
    await work(step).catch((cause) => {
      throw new Error(`killed at step ${step} of ${steps} (PYBUNDLE_SEED=${SEED}): ${cause.message}`, {
        cause,
      })
    })
  }
}

/** The program alone, so that what it had started lives on; or its whole group, as the agent does at a time-out. */
async function killAt(
  target: TestTarget,
  step: number,
  action: Action,
  release?: PublishedRelease,
  asked = {},
): Promise<void> {
  Object.assign(target.environment, { TRACE_KILL: String(step), TRACE_WHOLE: step % 2 ? 'yes' : '' })
  const child = target.start(action, release, asked)
  child.stdout.resume()
  child.stderr.resume()
  await new Promise((resolve) => child.on('exit', resolve))
  delete target.environment.TRACE_KILL
  delete target.environment.TRACE_WHOLE
}

function snapshot(target: TestTarget) {
  const copy = `${target.home}.copy`
  const options = { recursive: true, verbatimSymlinks: true, preserveTimestamps: true }
  cpSync(target.home, copy, options)
  return {
    restore() {
      rmSync(target.home, { recursive: true })
      cpSync(copy, target.home, options)
    },
  }
}

function served(target: TestTarget): string {
  return readlinkSync(target.path('current')).replace('releases/', '')
}

/** Without what tells of time: logs, locks. */
function alike(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).filter(([name]) => !/^(log|state|shared\/pid)/.test(name)))
}

/** https://en.wikipedia.org/wiki/Linear_congruential_generator, the numbers of POSIX. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state / 0x7fffffff
  }
}
