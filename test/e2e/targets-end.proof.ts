import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CloudTarget } from '../../local/cloud.ts'
import { eventually } from '../../local/demo/acceptance.ts'
import { fleetTable, letTimePass, type SlowTeam, slowTeam, tell } from './guestbook-fleet.ts'
import { expectServes, reportOf, TargetDisk } from './on-disk.ts'

const [DONE, MENDABLE, ROLLED_BACK] = [0, 1, 3]
const CATCH_UP_SECONDS = 60

let team: SlowTeam
beforeAll(async () => {
  team = await slowTeam({
    targets: 4,
    fleets: fleetTable('staging', 'waves = [1, "100%"]\nbake_seconds = 3'),
  })
}, 240_000)
afterAll(() => team?.close())

/** All of the fleet run again, those that were off for long enough to be due. */
async function startAgain(ended: readonly CloudTarget[]): Promise<CloudTarget[]> {
  for (const target of ended) letTimePass(team, target)
  return team.cloud.startFleet({ environment: 'staging', app: 'guestbook', count: 4 })
}

describe('a target that is stopped', () => {
  it('before, during or after its activation catches up when it is back, and migrates nothing', async () => {
    expect((await team.publish()).exitCode).toBe(DONE)
    const before = (await team.latest()).release ?? ''
    const [after, during, absent] = (await team.latest()).phases
      .filter(({ name }) => name.startsWith('wave'))
      .flatMap(({ targets }) => targets)
      .map((id) => team.fleet.find(({ instanceId }) => instanceId === id)) as CloudTarget[]
    if (!after || !during || !absent) throw new Error('the fleet has four targets')

    await absent.stop()
    await team.takeRevision(2)
    tell(team, during, { START_PAUSE: '100' })
    const { published, record: waitFor } = await team.begin()
    const { release = '' } = await waitFor('the first wave', ({ targets }) => {
      return targets[after.instanceId]?.activate?.outcome === 'done'
    })
    await after.stop()
    const disk = new TargetDisk(team, during)
    await eventually('the switch', 60, async () => disk.current() === release || undefined)
    await during.stop()
    const { exitCode, all } = await published
    expect([exitCode, all]).toEqual([DONE, expect.stringContaining('is live')])

    const record = await team.latest()
    expect(record.targets[during.instanceId]?.activate?.outcome).toBe('gone')
    expect(record.targets[absent.instanceId]).toBeUndefined()
    expect(new TargetDisk(team, absent).current()).toBe(before)
    const fleet = await startAgain([absent, during, after])
    await eventually('all serve', CATCH_UP_SECONDS, () => expectServes(team, fleet, release).then(() => true))
    expect(team.migrations()).toHaveLength(2)
  }, 240_000)
})

describe('a target that dies in its activation', () => {
  it('brings the fleet back, and itself when it is back', async () => {
    const { release: before = '' } = await team.latest()
    const fleet = await team.cloud.startFleet({ environment: 'staging', app: 'guestbook', count: 4 })
    await team.change()
    for (const target of fleet) tell(team, target, { START_PAUSE: '6' })
    const { published, record: waitFor } = await team.begin()
    const { release = '', phases } = await waitFor('the first wave', (record) => {
      return record.phases.at(-1)?.name === 'wave 1'
    })
    const wave = phases.at(-1)?.targets ?? []
    const dying = fleet.find(({ instanceId }) => wave.includes(instanceId)) as CloudTarget
    await eventually(
      'the switch',
      60,
      async () => new TargetDisk(team, dying).current() === release || undefined,
    )
    await dying.kill()
    const again = await startAgain([dying])
    const { exitCode, all } = await published
    expect([exitCode, all]).toEqual([ROLLED_BACK, expect.stringContaining(dying.instanceId)])
    await eventually('all serve', CATCH_UP_SECONDS, () => expectServes(team, again, before).then(() => true))
  }, 240_000)
})

describe('a target whose app is slower than health_seconds', () => {
  it('has failed, and says what the app said; the whole fleet is on the release before', async () => {
    const { current } = await team.state()
    const fleet = await team.cloud.startFleet({ environment: 'staging', app: 'guestbook', count: 4 })
    for (const target of fleet) tell(team, target, { START_PAUSE: '0' })
    const slow = fleet.at(-1) as CloudTarget
    tell(team, slow, { START_PAUSE: '12' })
    await team.change()
    const { exitCode } = await team.publish()
    expect(exitCode).toBe(ROLLED_BACK)
    const record = await team.latest()
    expect(record.reason).toContain(slow.instanceId)
    expect(await reportOf(team, record, slow.instanceId, 'activate')).toContain('8 s')
    await eventually('all serve', 30, () =>
      expectServes(team, fleet, current?.release ?? '').then(() => true),
    )
  }, 240_000)
})

describe('a leader that dies in mid-migration', () => {
  it('leaves what it did unknown: nothing is activated until a person says how it ended', async () => {
    const { current } = await team.state()
    const fleet = await team.cloud.startFleet({ environment: 'staging', app: 'guestbook', count: 4 })
    await team.write('guestbook/migrations/0003_more.sql', 'CREATE TABLE more (id INTEGER);\n')
    await team.migrateSlowly(100)
    await team.commit('a slow migration')
    const begun = team.migrations().length
    const published = team.publish()
    await eventually('the migration runs', 90, async () => team.migrations().length > begun || undefined)
    const { migration } = await team.state()
    const leader = fleet.find(({ instanceId }) => instanceId === migration?.leader) as CloudTarget
    await leader.kill()
    const again = await startAgain([leader])
    const { exitCode, all } = await published
    const id = (await team.latest()).id
    const command = `pybundle confirm-migration --environment staging --rollout ${id}`
    expect([exitCode, all]).toEqual([MENDABLE, expect.stringContaining(`${command} --ended`)])
    await expectServes(team, again, current?.release ?? '')
    expect((await team.pybundle('status', '--environment', 'staging')).all).toContain(
      'not known to have ended',
    )

    await team.migrateSlowly(0)
    await team.commit('a fast migration')
    const blocked = await team.publish()
    expect([blocked.exitCode, blocked.all]).toEqual([MENDABLE, expect.stringContaining('confirm-migration')])
    expect(team.migrations()).toHaveLength(begun + 1)

    const confirm = ['confirm-migration', '--environment', 'staging', '--rollout', id, '--not-run']
    expect((await team.pybundle(...confirm)).exitCode).toBe(DONE)
    await team.change()
    expect((await team.publish()).exitCode).toBe(DONE)
    await expectServes(team, again, (await team.latest()).release ?? '')
    expect(team.migrations()).toHaveLength(begun + 2)
  }, 240_000)
})
