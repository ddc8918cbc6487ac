import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { PublishedRelease } from './artifacts.ts'
import { smallPip } from './small-pip.ts'
import { ROLLOUT, type TestTarget } from './target.ts'
import { Workshop } from './workshop.ts'

let workshop: Workshop
let target: TestTarget
let story: string
let pip: string
let token = 0
beforeAll(async () => {
  workshop = await Workshop.open('hooks')
  pip = await smallPip(workshop.folder)
})
beforeEach(async () => {
  target = await workshop.newServingTarget({ health_seconds: 1 })
  const { restart_command } = target.config
  story = join(target.root, 'story')
  target.config.restart_command = `echo "restart $(basename "$(readlink ${target.path('current')})")" >>${story}; ${restart_command}`
})
afterAll(() => workshop.close())

/** Writes itself into the story: which hook, of which release, with which before it, and what is served. */
const told = (more = 'true') =>
  `echo "$PYBUNDLE_HOOK $PYBUNDLE_RELEASE $PYBUNDLE_PREVIOUS $(basename "$(readlink ../../current)")" >>${story}; ${more}`

type Hooks = Record<string, string>
const ALL = ['prepare', 'migrate', 'activate', 'rollback'].flatMap((step) => [
  `before_${step}`,
  `after_${step}`,
])

/** A release that tells of all its commands; some do something more. */
function publish(says: string, more: Hooks = {}, status = 200): Promise<PublishedRelease> {
  const hooks = ALL.map((name) => `hooks.${name} = ${JSON.stringify(told(more[name]))}`)
  const commands = ['prepare_command', 'migrate_command'].map(
    (name) => `${name} = ${JSON.stringify(told(more[name]))}`,
  )
  return workshop.publishApp({ says, status, settings: [...commands, ...hooks] }, { pip })
}

const deploy = (release: PublishedRelease) => target.deploy(release, ++token)
const lines = () => (existsSync(story) ? readFileSync(story, 'utf8').trim().split('\n') : [])
/** What has happened since, without what is said of each. */
function newSteps(): string[] {
  const steps = lines().map((line) => line.split(' ')[0] ?? '')
  writeFileSync(story, '')
  return steps.filter(Boolean)
}

describe('hooks', () => {
  it('run around each step, with the switch and the restart where the reference says', async () => {
    const old = await publish('old')
    await deploy(old)
    const release = await publish('new')
    newSteps()
    target.holdLock(++token)
    await target.run('prepare', release, { token })
    await target.run('migrate', release, { token, rollout: ROLLOUT })
    const { verdict } = await target.run('activate', release, { token })
    expect(verdict).toMatchObject({ outcome: 'done', current: release.id })
    const [now, before] = [release.id, old.id]
    expect(lines().filter(Boolean)).toEqual([
      `before_prepare ${now} ${before} ${before}`,
      `prepare_command ${now} ${before} ${before}`,
      `after_prepare ${now} ${before} ${before}`,
      `before_migrate ${now} ${before} ${before}`,
      `migrate_command ${now} ${before} ${before}`,
      `after_migrate ${now} ${before} ${before}`,
      `before_activate ${now} ${before} ${before}`,
      `restart ${now}`,
      `after_activate ${now} ${before} ${now}`,
    ])
    expect(await answers()).toBe(release.id)
  })

  it('have one list of variables, the env_file, and no others of ours', async () => {
    const env = `env | grep -E "^(PYBUNDLE|SSM|AWS|SECRET)" | sort >../../shared/$PYBUNDLE_HOOK`
    const release = await publish(
      'variables',
      Object.fromEntries([...ALL, 'prepare_command', 'migrate_command'].map((name) => [name, env])),
    )
    target.environment.AWS_SSM_INSTANCE_ID = 'i-0123456789abcdef0'
    target.holdLock(++token)
    for (const action of ['prepare', 'migrate', 'activate', 'revert'] as const) {
      await target.run(action, release, { token, rollout: ROLLOUT })
    }
    for (const name of [...ALL, 'prepare_command', 'migrate_command']) {
      expect(target.read('shared', name).trim().split('\n')).toEqual([
        'PYBUNDLE_APP=guestbook',
        'PYBUNDLE_ENVIRONMENT=staging',
        `PYBUNDLE_HOOK=${name}`,
        'PYBUNDLE_PREVIOUS=',
        `PYBUNDLE_RELEASE=${release.id}`,
        `PYBUNDLE_ROLLOUT=${ROLLOUT}`,
        'PYBUNDLE_TARGET=i-0123456789abcdef0',
        'SECRET=tea',
      ])
    }
  })

  it('run of prepare and activate only where a target catches up, once', async () => {
    const release = await publish('caught up', {
      before_prepare: `env | grep ^PYBUNDLE_ROLLOUT=$ && [ "$PYBUNDLE_TARGET" = ${hostname()} ]`,
    })
    target.setState({ current: { release: release.id, ...release.digests } })
    const { verdict } = await target.run('catch-up', undefined, { token: 0 })
    expect(verdict).toMatchObject({ outcome: 'done', current: release.id })
    const steps = [
      'before_prepare',
      'prepare_command',
      'after_prepare',
      'before_activate',
      'restart',
      'after_activate',
    ]
    expect(newSteps()).toEqual(steps)
    await target.run('catch-up', undefined, { token: 0 })
    expect(newSteps()).toEqual([])
  })
})

describe('a hook that fails', () => {
  it.each(['before_prepare', 'prepare_command', 'after_prepare'])(
    'as %s leaves nothing prepared',
    async (name) => {
      const release = await publish(`fails in ${name}`, { [name]: 'echo no tea; exit 3' })
      const { verdict } = await target.run('prepare', release)
      expect(verdict).toMatchObject({ outcome: 'failed', current: null, log: 'no tea' })
      expect(verdict.reason).toMatch(new RegExp(`^${name} failed with exit code 3: echo "`))
      expect((await target.run('status')).verdict.prepared).toEqual([])
      expect(workshop.bucket.body(verdict.report ?? '').toString()).toContain('==> prepare.log <==\nno tea')
      expect(newSteps().at(-1)).toBe(name)
    },
  )

  it('as before_activate switches nothing, restarts nothing, and is no reason to go back', async () => {
    const good = await publish('good')
    await deploy(good)
    newSteps()
    const { verdict } = await deploy(await publish('refuses', { before_activate: 'echo not now; exit 1' }))
    expect(verdict).toMatchObject({ outcome: 'failed', current: good.id, log: 'not now' })
    expect(verdict.reason).toMatch(/^before_activate failed with exit code 1: /)
    expect(newSteps().slice(3)).toEqual(['before_activate'])
    expect(await answers()).toBe(good.id)
  })

  it('as after_activate is a release that is not healthy: its own rollback hooks, and the previous one is back', async () => {
    const good = await publish('good')
    await deploy(good)
    newSteps()
    const bad = await publish('smoke', { after_activate: 'echo smoke; exit 1' })
    const { verdict } = await deploy(bad)
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id, log: 'smoke' })
    expect(verdict.reason).toMatch(/^after_activate failed with exit code 1: /)
    expect(lines().slice(3)).toEqual([
      `before_activate ${bad.id} ${good.id} ${good.id}`,
      `restart ${bad.id}`,
      `after_activate ${bad.id} ${good.id} ${bad.id}`,
      `before_rollback ${bad.id} ${good.id} ${bad.id}`,
      `restart ${good.id}`,
      `after_rollback ${bad.id} ${good.id} ${good.id}`,
    ])
    expect(await answers()).toBe(good.id)
  })

  it('by taking too long has failed, and nothing of it goes on', async () => {
    const good = await publish('good')
    await deploy(good)
    target.alterProgram('"after_activate": 60', '"after_activate": 1')
    const bad = await publish('slow', { after_activate: 'echo waits; sleep 986 & sleep 986' })
    const { verdict } = await deploy(bad)
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id, log: 'waits' })
    expect(verdict.reason).toMatch(/^after_activate did not end within 1 s: /)
    expect(spawnSync('pgrep', ['-f', '^sleep 986$']).status).toBe(1)
  })

  it('because it cannot be started has failed like any other', async () => {
    const good = await publish('good')
    await deploy(good)
    const bad = await publish('nul', { after_activate: 'echo a\u0000b' })
    const { verdict } = await deploy(bad)
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id })
    expect(verdict.reason).toMatch(/^after_activate could not be run: /)
  })

  it('as one of rollback’s that cannot be started ends no app that was started meanwhile', async () => {
    const good = await publish('good')
    await deploy(good)
    const next = await publish('next, without a way to say so', { before_rollback: 'echo a\u0000b' })
    await deploy(next)
    const { verdict } = await target.run('revert', next, { token })
    expect(verdict).toMatchObject({ outcome: 'done', current: good.id })
    expect(await answers()).toBe(good.id)
  })

  it('as before_activate, when the switch was made by a command that was killed, goes back', async () => {
    const good = await publish('good')
    await deploy(good)
    const ground = join(target.root, 'sick')
    const bad = await publish('killed', {
      before_activate: `test ! -e ${ground}`,
      after_activate: `touch ${ground}; kill -9 $PPID; sleep 1`,
    })
    await target.run('prepare', bad, { token: ++token })
    target.holdLock(token)
    await target.run('activate', bad, { token }).catch(() => undefined)
    expect(target.read('state', 'target.json')).toContain(bad.id)
    const { verdict } = await target.run('activate', bad, { token })
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id })
  })

  it('as one of rollback’s holds nothing up, and is told', async () => {
    const good = await publish('good')
    await deploy(good)
    const next = await publish('next', {
      before_rollback: 'echo cannot undo; exit 7',
      after_rollback: 'exit 8',
    })
    await deploy(next)
    newSteps()
    const { verdict } = await target.run('revert', next, { token })
    expect(verdict).toMatchObject({ outcome: 'done', current: good.id, log: 'cannot undo' })
    expect(verdict.reason).toMatch(
      new RegExp(
        `^serves ${good.id} again; before_rollback failed with exit code 7: .*; after_rollback failed with exit code 8: `,
      ),
    )
    expect(workshop.bucket.body(verdict.report ?? '').toString()).toContain('cannot undo')
    expect(newSteps()).toEqual(['before_rollback', 'restart', 'after_rollback'])
  })

  it('by a name that there is not is no release', async () => {
    const release = await workshop.publishApp({ settings: ['hooks.before_restart = "true"'] })
    const { verdict } = await target.run('prepare', release)
    expect(verdict.reason).toContain('"hooks.before_restart" is no hook')
  })
})

describe('migrate’s hooks', () => {
  const migrate = async (more: Hooks) => {
    const release = await publish(`migrates ${JSON.stringify(more)}`, more)
    target.holdLock(++token)
    await target.run('prepare', release, { token })
    newSteps()
    return (await target.run('migrate', release, { token, rollout: ROLLOUT })).verdict
  }

  it.each([
    ['before_migrate', 'none', ['before_migrate']],
    ['migrate_command', 'failed', ['before_migrate', 'migrate_command']],
    ['after_migrate', 'ended', ['before_migrate', 'migrate_command', 'after_migrate']],
  ])('tell, where %s fails, that of the migration is true: %s', async (name, migration, steps) => {
    const verdict = await migrate({ [name]: 'echo why; exit 2' })
    const reason = `${name} failed with exit code 2`
    expect(verdict).toMatchObject({ outcome: 'failed', migration, reason, log: 'why' })
    expect(newSteps()).toEqual(steps)
  })

  it.each([
    ['before_migrate', 'none'],
    ['migrate_command', 'interrupted'],
    ['after_migrate', 'ended'],
  ])('tell, where it was killed in %s, that of the migration is true: %s', async (name, migration) => {
    const verdict = await migrate({ [name]: 'kill -9 $PPID' })
    expect(verdict).toMatchObject({
      outcome: 'failed',
      migration,
      reason: expect.stringContaining('interrupted'),
    })
  })
})

describe('going back', () => {
  it('runs the hooks of the release that is left, also to nothing', async () => {
    const first = await publish('first', {}, 500)
    const { verdict } = await deploy(first)
    expect(verdict).toMatchObject({ outcome: 'failed', current: null })
    const steps = ['before_activate', 'restart', 'before_rollback', 'restart', 'after_rollback']
    expect(newSteps().slice(3)).toEqual(steps)
  })

  it('by a rollback that was asked for runs them in the place of activate’s', async () => {
    const [old, next] = [await publish('old'), await publish('next')]
    await deploy(old)
    await deploy(next)
    newSteps()
    target.setState({
      token: ++token,
      lock: { token, request: ROLLOUT, execution: 'x', version: '1', isRollback: true },
    })
    await target.run('prepare', old, { token })
    const { verdict } = await target.run('activate', old, { token })
    expect(verdict).toMatchObject({ outcome: 'done', current: old.id })
    expect(lines().filter(Boolean)).toEqual([
      `before_rollback ${next.id} ${old.id} ${next.id}`,
      `restart ${old.id}`,
      `after_rollback ${next.id} ${old.id} ${old.id}`,
    ])
  })

  it.each(['before_rollback', 'after_rollback'])(
    'that was killed in %s is finished, with that hook again',
    async (name) => {
      const good = await publish('good')
      await deploy(good)
      const go = join(target.root, 'go')
      const next = await publish('next', { [name]: `[ -e ${go} ] || { touch ${go}; sleep 600; }` })
      await deploy(next)
      newSteps()
      const child = target.start('revert', next, { token })
      await until(() => existsSync(go))
      process.kill(-(child.pid ?? 0), 'SIGKILL')
      const { verdict } = await target.run('revert', next, { token })
      expect(verdict).toMatchObject({ outcome: 'done', current: good.id })
      expect(newSteps().slice(-3)).toEqual(['before_rollback', 'restart', 'after_rollback'])
      expect(await answers()).toBe(good.id)
    },
  )
})

describe('an activation that was killed', () => {
  it.each(['before_activate', 'after_activate'])('in %s does not count, and runs it again', async (name) => {
    const good = await publish('good')
    await deploy(good)
    const go = join(target.root, 'go')
    const next = await publish('next', { [name]: `[ -e ${go} ] || { touch ${go}; sleep 600; }` })
    target.holdLock(++token)
    await target.run('prepare', next, { token })
    newSteps()
    const child = target.start('activate', next, { token })
    await until(() => existsSync(go))
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    const { verdict } = await target.run('activate', next, { token })
    expect(verdict).toMatchObject({ outcome: 'done', current: next.id, reason: 'active' })
    expect(newSteps().slice(-3)).toEqual(['before_activate', 'restart', 'after_activate'])
  })
})

async function answers(): Promise<string | null> {
  const port = /PORT="(\d+)"/.exec(target.readFile('etc/guestbook.env'))?.[1]
  return (await fetch(`http://127.0.0.1:${port}/`)).headers.get('x-release')
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20))
}
