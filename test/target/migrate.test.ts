import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROLLOUT, type TestTarget } from './target.ts'
import { project, Workshop } from './workshop.ts'

const OTHER = '20261122t111500z-0123abcd'

let workshop: Workshop
let target: TestTarget
let go: string
beforeAll(async () => {
  workshop = await Workshop.open('migrate')
  target = await workshop.newTarget({ env_file: '/etc/guestbook.env' })
  target.writeFile('etc/guestbook.env', 'DATABASE=tea\n')
  go = join(target.root, 'go')
})
afterAll(() => workshop.close())

let token = 0
async function prepared(settings: string[]) {
  const release = await workshop.publish({ 'pyproject.toml': project(settings) }, { wheels: [] })
  target.holdLock(++token)
  await target.run('prepare', release, { token })
  return release
}

describe('migrate', () => {
  it('runs the migration in the new release with what the app will have', async () => {
    const release = await prepared([
      'migrate_command = "echo $DATABASE >migrated; which python; echo こんにちは"',
    ])

    const { verdict } = await target.run('migrate', release, { token, rollout: ROLLOUT })

    expect(verdict).toMatchObject({ outcome: 'done', reason: 'migrated', migration: 'ended' })
    expect(target.read('releases', release.id, 'migrated')).toBe('tea\n')
    expect(target.read('log', `migrate-${ROLLOUT}.log`)).toMatch(
      /venvs\/[0-9a-f]{12}\/bin\/python\nこんにちは\n$/,
    )
  })

  it('runs once for a rollout', async () => {
    const rollout = '20261122t101501z-00000001'
    const release = await prepared(['migrate_command = "echo once >>times"'])
    await target.run('migrate', release, { token, rollout })
    const { verdict } = await target.run('migrate', release, { token, rollout })
    expect(verdict.outcome).toBe('done')
    expect(target.read('releases', release.id, 'times')).toBe('once\n')
  })

  it('is told of by status, which begins none', async () => {
    const rollout = '20261122t101502z-0000000a'
    const release = await prepared(['migrate_command = "exit 3"'])
    const standing = async () => (await target.run('status', release, { token, rollout })).verdict.migration
    expect(await standing()).toBeFalsy()
    await target.run('migrate', release, { token, rollout })
    expect(await standing()).toBe('failed')
  })

  it('says why it failed, and does not try again', async () => {
    const rollout = '20261122t101502z-00000002'
    const release = await prepared(['migrate_command = "echo x >>times; echo no such column: tea; exit 4"'])
    const { verdict } = await target.run('migrate', release, { token, rollout })
    const again = await target.run('migrate', release, { token, rollout })
    expect(verdict).toMatchObject({
      outcome: 'failed',
      reason: 'migrate_command failed with exit code 4',
      log: 'no such column: tea',
      migration: 'failed',
    })
    expect(again.verdict.outcome).toBe('failed')
    expect(target.read('releases', release.id, 'times')).toBe('x\n')
  })

  it('has nothing to do without a command, or where the check says so', async () => {
    const rollout = '20261122t101503z-00000003'
    const plain = await prepared([])
    const told = await target.run('migrate', plain, { token, rollout })
    expect(told.verdict).toMatchObject({
      outcome: 'done',
      reason: 'the app has no migration',
      migration: 'none',
    })

    const checked = await prepared(['migrate_command = "touch migrated"', 'migrate_check_command = "true"'])
    const { verdict } = await target.run('migrate', checked, { token, rollout })
    expect(verdict).toMatchObject({ outcome: 'done', reason: 'nothing to migrate', migration: 'none' })
    expect(target.has('releases', checked.id, 'migrated')).toBe(false)
  })

  it('outlives the command that started it, even one killed as a group', async () => {
    const rollout = '20261122t101504z-00000004'
    const release = await prepared([
      `migrate_command = "touch began; while [ ! -e ${go} ]; do sleep 0.05; done; touch ended"`,
    ])
    const child = target.start('migrate', release, { token, rollout })
    await until(() => target.has('releases', release.id, 'began'))
    process.kill(-(child.pid ?? 0), 'SIGKILL')

    const other = await target.run('migrate', release, { token, rollout: OTHER })
    expect(other.verdict).toMatchObject({
      outcome: 'refused',
      reason: `the migration of rollout ${rollout} is still running here`,
      migration: 'running',
    })

    writeFileSync(go, '')
    const { verdict } = await target.run('migrate', release, { token, rollout })
    expect(verdict.outcome).toBe('done')
    expect(target.has('releases', release.id, 'ended')).toBe(true)
  })

  it('is over when its command is, whatever that has left in the background', async () => {
    const release = await prepared(['migrate_command = "sleep 600 & true"'])
    for (const rollout of ['20261122t101506z-00000006', '20261122t101507z-00000007']) {
      const { verdict } = await target.run('migrate', release, { token, rollout })
      expect(verdict).toMatchObject({ outcome: 'done', reason: 'migrated' })
    }
  })

  it('leaves nobody in the belief that an interrupted migration was made', async () => {
    const rollout = '20261122t101505z-00000005'
    const release = await prepared(['migrate_command = "echo half; kill -9 $PPID; exit 0"'])
    const { verdict } = await target.run('migrate', release, { token, rollout })
    expect(verdict).toMatchObject({
      outcome: 'failed',
      reason: 'the migration was interrupted: find out how far it came before going on',
      log: 'half',
      migration: 'interrupted',
    })
    expect(existsSync(target.path('state/migrations', `${rollout}.json`))).toBe(true)
  })
})

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20))
}
