import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Action } from '../../lib/release/command.ts'
import type { PublishedRelease } from './artifacts.ts'
import { traced } from './blows.ts'
import { smallPip } from './small-pip.ts'
import { type Asked, ROLLOUT, stopApp, type TestTarget } from './target.ts'
import { expectMarkedToBeWhole, type Files, filesOf, served } from './whole.ts'
import { project, type Workshop } from './workshop.ts'

type Act = [Action, PublishedRelease?, Asked?]

/** A target about to do something, as often as one likes. */
export interface Scene {
  target: TestTarget
  act(): Act
  /** As it was before. */
  reset(): Promise<void>
  /** Holds at every moment. */
  isSound(): void
  /** The same again, to its end this time. */
  finish(): Promise<void>
}

/** Of two wheels, one that all releases share and one that only those of its version have: both ways are taken. */
const wheelsOf = (version: string) => [wheelOf('alpha', version), wheelOf('beta', '1.0')]

const wheelOf = (name: string, version: string) => ({
  name,
  version,
  files: {
    [`${name}/__init__.py`]: `VERSION = "${version}"\n`,
    [`${name}-${version}.dist-info/entry_points.txt`]: `[console_scripts]\n${name} = ${name}:main\n`,
  },
})

export async function prepareScene(workshop: Workshop): Promise<Scene> {
  const target = await traced(await workshop.newTarget())
  const pip = await smallPip(workshop.folder)
  const old = await workshop.publishApp({ says: 'old' }, { pip, wheels: wheelsOf('1.0') })
  await target.deploy(old)
  const settings = ['shared_paths = ["media"]', 'prepare_command = "echo made >made"']
  const next = await workshop.publishApp({ settings }, { pip, wheels: wheelsOf('1.1') })
  const before = snapshot(target)
  const [had, made] = [filesOf(target), await filesAfter(target, ['prepare', next])]
  before.restore()
  return {
    target,
    act: () => ['prepare', next],
    reset: async () => before.restore(),
    isSound() {
      expect(served(target)).toBe(old.id)
      expectMarkedToBeWhole(target, { ...had, ...made })
    },
    async finish() {
      expect((await target.run('prepare', next)).verdict).toMatchObject({ outcome: 'done', current: old.id })
      expect(filesOf(target)).toEqual(made)
      expect(readdirSync(target.path('tmp'))).toEqual([])
    },
  }
}

/** To one release and back to the other: what the last one left is there when the next one begins. */
export async function activateScene(workshop: Workshop): Promise<Scene> {
  const target = await traced(await workshop.newServingTarget())
  const pip = await smallPip(workshop.folder)
  let to = await workshop.publishApp({ says: 'one' }, { pip })
  let from = await workshop.publishApp({ says: 'two' }, { pip })
  target.holdLock(1)
  await target.run('prepare', to)
  await target.deploy(from)
  await target.run('activate', to)
  const had = filesOf(target)
  const swap = async () => {
    const [one, two] = [from, to]
    to = one
    from = two
  }
  return {
    target,
    act: () => ['activate', to],
    reset: swap,
    isSound() {
      expect([from.id, to.id]).toContain(served(target))
      expectMarkedToBeWhole(target, had)
    },
    async finish() {
      expect((await target.run('activate', to)).verdict).toMatchObject({ outcome: 'done', current: to.id })
      expect(served(target)).toBe(to.id)
    },
  }
}

export async function revertScene(workshop: Workshop): Promise<Scene> {
  const target = await traced(await workshop.newServingTarget())
  const pip = await smallPip(workshop.folder)
  const one = await workshop.publishApp({ says: 'one' }, { pip })
  const two = await workshop.publishApp({ says: 'two' }, { pip })
  await target.deploy(one)
  await target.deploy(two)
  const had = filesOf(target)
  return {
    target,
    act: () => ['revert', two],
    async reset() {
      expect((await target.run('activate', two)).verdict).toMatchObject({ outcome: 'done', current: two.id })
    },
    isSound() {
      expect([one.id, two.id]).toContain(served(target))
      expectMarkedToBeWhole(target, had)
    },
    async finish() {
      expect((await target.run('revert', two)).verdict).toMatchObject({ outcome: 'done', current: one.id })
      expect(served(target)).toBe(one.id)
    },
  }
}

export async function catchUpScene(workshop: Workshop): Promise<Scene> {
  const target = await traced(await workshop.newServingTarget())
  const pip = await smallPip(workshop.folder)
  const old = await workshop.publishApp({ says: 'old' }, { pip })
  const next = await workshop.publishApp({ says: 'next' }, { pip })
  await target.deploy(old)
  const before = snapshot(target)
  target.setState({ current: { release: next.id, ...next.digests } })
  const [had, made] = [filesOf(target), await filesAfter(target, ['catch-up'])]
  stopApp(target)
  before.restore()
  return {
    target,
    act: () => ['catch-up'],
    async reset() {
      stopApp(target)
      before.restore()
    },
    isSound() {
      expect([old.id, next.id]).toContain(served(target))
      expectMarkedToBeWhole(target, { ...had, ...made })
    },
    async finish() {
      expect((await target.run('catch-up')).verdict).toMatchObject({ outcome: 'done', current: next.id })
      expect(filesOf(target)).toEqual(made)
    },
  }
}

/** What it migrates is no part of the target. `survives`: the migration outlives what happens to its command. */
export async function migrateScene(workshop: Workshop, { survives = true } = {}): Promise<Scene> {
  const target = await traced(await workshop.newTarget())
  const database = join(target.root, 'database')
  const release = await workshop.publish(
    { 'pyproject.toml': project([`migrate_command = "echo once >>${database}"`]) },
    { wheels: [], pip: await smallPip(workshop.folder) },
  )
  target.holdLock(1)
  await target.run('prepare', release)
  const before = snapshot(target)
  const act: Act = ['migrate', release, { rollout: ROLLOUT }]
  return {
    target,
    act: () => act,
    async reset() {
      before.restore()
      writeFileSync(database, '')
    },
    isSound: () => expect(['', 'once\n']).toContain(readFileSync(database, 'utf8')),
    async finish() {
      const { verdict } = await target.run(...act)
      const interrupted = { outcome: 'failed', reason: expect.stringContaining('was interrupted') }
      const isInterrupted = !survives && verdict.outcome === 'failed'
      expect(verdict).toMatchObject(isInterrupted ? interrupted : { outcome: 'done', reason: 'migrated' })
      expect(isInterrupted ? ['', 'once\n'] : ['once\n']).toContain(readFileSync(database, 'utf8'))
    },
  }
}

export async function pruneScene(workshop: Workshop): Promise<Scene> {
  const target = await traced(await workshop.newTarget({ keep_releases: 2 }))
  const pip = await smallPip(workshop.folder)
  const releases: PublishedRelease[] = []
  for (const version of ['1.2', '1.3', '1.4']) {
    const release = await workshop.publishApp({ says: version }, { pip, wheels: wheelsOf(version) })
    await target.deploy(release)
    releases.push(release)
  }
  const before = snapshot(target)
  const [had, left] = [filesOf(target), await filesAfter(target, ['prune'])]
  before.restore()
  return {
    target,
    act: () => ['prune'],
    reset: async () => before.restore(),
    isSound() {
      expect(served(target)).toBe(releases.at(-1)?.id)
      expect(filesOf(target)).toMatchObject(left)
      expectMarkedToBeWhole(target, had)
    },
    async finish() {
      expect((await target.run('prune')).verdict).toMatchObject({ outcome: 'done' })
      expect(filesOf(target)).toEqual(left)
    },
  }
}

async function filesAfter(target: TestTarget, act: Act): Promise<Files> {
  expect((await target.run(...act)).verdict.outcome).toBe('done')
  return filesOf(target)
}

/** With hard links and times, as the disk has it. */
function snapshot(target: TestTarget) {
  const copy = `${target.home}.copy`
  execFileSync('cp', ['-a', target.home, copy])
  return {
    restore() {
      rmSync(target.home, { recursive: true })
      execFileSync('cp', ['-a', copy, target.home])
    },
  }
}
