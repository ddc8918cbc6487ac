import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CloudTarget } from '../../local/cloud.ts'
import { fillDisk, freeDisk } from './full-disk.ts'
import { fleetTable, type SlowTeam, slowTeam, tell } from './guestbook-fleet.ts'
import { expectServes, reportOf, TargetDisk } from './on-disk.ts'

const [DONE, MENDABLE] = [0, 1]

let team: SlowTeam
let production: CloudTarget[]
beforeAll(async () => {
  const fleets = [
    fleetTable('staging', 'waves = ["100%"]\nprepare_seconds = 30\nactivate_seconds = 30'),
    fleetTable('production', 'waves = [1, "100%"]\nmax_prepare_failures = 1'),
  ].join('\n')
  team = await slowTeam({ targets: 2, fleets })
  production = await team.cloud.startFleet({ environment: 'production', app: 'guestbook', count: 5 })
  expect((await team.publish()).exitCode).toBe(DONE)
}, 240_000)
afterAll(() => team?.close())

const promote = () => team.pybundle('promote', '--from', 'staging', '--to', 'production')

describe('a disk that is full on one target', () => {
  it('stops a rollout with nothing activated; the record says where, and why', async () => {
    const [healthy, full] = team.fleet as [CloudTarget, CloudTarget]
    const before = (await team.latest()).release ?? ''
    await team.change()
    fillDisk(team, full, '1 os.mkdir tmp/release')
    const { exitCode, all } = await team.publish()
    expect([exitCode, all]).toEqual([MENDABLE, expect.stringContaining(full.instanceId)])

    const record = await team.latest()
    expect(record).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('No space left') })
    expect(record.reason).toContain(`1 of 2 failed. ${full.instanceId}`)
    expect(record.targets[healthy.instanceId]?.activate).toBeUndefined()
    expect(await reportOf(team, record, full.instanceId, 'prepare')).toContain('No space left')
    await expectServes(team, team.fleet, before)
    expect(new TargetDisk(team, full).prepared()).toEqual([before])

    freeDisk(team, full)
    await team.change()
    expect((await team.publish()).exitCode).toBe(DONE)
    await expectServes(team, team.fleet, (await team.latest()).release ?? '')
  }, 180_000)
})

describe('a target that is slower than prepare_seconds', () => {
  it('has failed when they are over, and nothing is activated', async () => {
    const [, slow] = team.fleet as [CloudTarget, CloudTarget]
    const before = (await team.latest()).release ?? ''
    await team.change()
    tell(team, slow, { PREPARE_PAUSE: '300' })
    expect((await team.publish()).exitCode).toBe(MENDABLE)
    const record = await team.latest()
    expect(record.targets[slow.instanceId]?.prepare).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('TimedOut'),
    })
    await expectServes(team, team.fleet, before)
    tell(team, slow, { PREPARE_PAUSE: '0' })
  }, 180_000)
})

describe('an installation that fails', () => {
  it('on more than may activates nothing; on as many as may the others go on, and it is first next time', async () => {
    const [, second, third] = production as [CloudTarget, CloudTarget, CloudTarget]
    const repair = [second, third].map((target) => breakInstallation(team, target))
    expect((await promote()).exitCode).toBe(MENDABLE)
    const failed = await team.latest('production')
    expect(failed.reason).toContain('2 of 5 failed')
    expect(production.map((target) => new TargetDisk(team, target).current())).toEqual(
      Array(5).fill(undefined),
    )
    expect(team.migrations('production')).toEqual([])

    repair[0]?.()
    expect((await promote()).exitCode).toBe(DONE)
    const record = await team.latest('production')
    const release = record.release ?? ''
    expect(record.reason).toContain(third.instanceId)
    await expectServes(
      team,
      production.filter((target) => target !== third),
      release,
    )
    expect(new TargetDisk(team, third).current()).toBeUndefined()
    expect(await reportOf(team, record, third.instanceId, 'prepare')).toContain('Permission denied')
    expect(team.migrations('production')).toHaveLength(1)

    repair[1]?.()
    await team.change()
    expect((await team.publish()).exitCode).toBe(DONE)
    expect((await promote()).exitCode).toBe(DONE)
    const next = await team.latest('production')
    expect(next.phases[0]).toMatchObject({ name: 'prepare first', targets: [third.instanceId] })
    expect(next.phases.find(({ name }) => name === 'wave 1')?.targets).toEqual([third.instanceId])
    await expectServes(team, production, next.release ?? '')
  }, 240_000)
})

/** Virtualenvs are to be where nobody may write. */
function breakInstallation(scene: SlowTeam, target: CloudTarget): () => void {
  const folder = join(new TargetDisk(scene, target).home, 'venvs')
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o555)
  return () => chmodSync(folder, 0o755)
}
