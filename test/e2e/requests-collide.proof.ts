import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RolloutRecord } from '../../lib/release/record.ts'
import { askApp, eventually } from '../../local/demo/acceptance.ts'
import { fleetTable, type SlowTeam, slowTeam } from './guestbook-fleet.ts'
import { expectServes } from './on-disk.ts'

const [DONE, MENDABLE, ROLLED_BACK, STOPPED] = [0, 1, 3, 4]

let team: SlowTeam
let sent = 0
beforeAll(async () => {
  team = await slowTeam({
    targets: 2,
    fleets: fleetTable('staging', 'waves = [1, "100%"]\nbake_seconds = 8'),
    // Each comes twice, the second time long after; those that are sent together come in any order.
    deliver: (send) => {
      sent++
      for (const most of [300, 6000]) setTimeout(send, Math.random() * most)
    },
  })
}, 240_000)
afterAll(() => team?.close())

const on = (command: string, ...args: string[]) => team.pybundle(command, '--environment', 'staging', ...args)
const isFree = async () => (await team.state()).lock === null || undefined
const isBaking = ({ outcome, phases }: RolloutRecord) => {
  const last = phases.at(-1)
  return outcome === 'running' && last?.name === 'wave 1' && last.endedAt !== undefined
}
const baking = () => eventually('the bake', 90, async () => isBaking(await team.latest()) || undefined)

describe('requests that collide, with events that come twice, late and in any order', () => {
  it('of two in the same second and a newer one in mid-wave, the newest is what the fleet ends on', async () => {
    expect((await team.publish()).exitCode).toBe(DONE)
    await team.change('a')
    expect((await on('publish-code', '--detach')).exitCode).toBe(DONE)
    const detached = await Promise.all(
      ['b', 'c'].map(async (news) => {
        await team.write('NEWS.md', news)
        return on('publish-code', '--detach', '--dirty', '--json')
      }),
    )
    expect(detached.map(({ exitCode }) => exitCode)).toEqual([DONE, DONE])
    await baking()
    await team.change('d')
    const { exitCode } = await on('publish-code')
    expect(exitCode).toBe(DONE)

    const records = await eventually('nothing is left', 60, async () => {
      const all = await team.records()
      return all.length === 5 && all.every(({ outcome }) => outcome !== 'running') ? all : undefined
    })
    const outcomes = records.map(({ outcome }) => outcome)
    expect(outcomes[0]).toBe('done')
    expect(outcomes.filter((outcome) => outcome === 'superseded').length).toBeGreaterThan(0)
    expect(new Set(outcomes)).toEqual(new Set(['done', 'superseded']))
    const { current } = await team.state()
    await expectServes(team, team.fleet, current?.release ?? '')
    expect(current?.release).toBe(records.find(({ outcome }) => outcome === 'done')?.release)
    expect(sent).toBeGreaterThan(10)
  }, 240_000)
})

describe('a cancel in a bake', () => {
  it('stops: what has switched stays, and a rollback brings the fleet together', async () => {
    await eventually('the lock is free', 30, isFree)
    const { current } = await team.state()
    await team.change()
    const { published, record } = await team.begin()
    const { release = '' } = await record('the bake', isBaking)
    const cancelled = await on('cancel')
    expect([cancelled.exitCode, cancelled.all]).toEqual([DONE, expect.stringContaining('took effect')])
    const { exitCode, all } = await published
    expect([exitCode, all]).toEqual([STOPPED, expect.stringMatching(/Cancelled by .*stays as it is/s)])
    const served = await Promise.all(team.fleet.map(async ({ url }) => (await askApp(url)).release))
    expect(served.sort()).toEqual([release, current?.release].sort())
    const again = await on('cancel')
    expect([again.exitCode, again.all]).toEqual([MENDABLE, expect.stringContaining('pybundle rollback')])
    expect((await on('rollback')).exitCode).toBe(DONE)
    await expectServes(team, team.fleet, current?.release ?? '')
  }, 240_000)

  it('with --revert brings back whoever has switched', async () => {
    const { current } = await team.state()
    await team.change()
    const published = team.publish()
    await baking()
    expect((await on('cancel', '--revert')).exitCode).toBe(DONE)
    expect((await published).exitCode).toBe(ROLLED_BACK)
    await expectServes(team, team.fleet, current?.release ?? '')
    await delay(7000) // the last of the late events
    await expectServes(team, team.fleet, current?.release ?? '')
    expect((await team.state()).lock).toBeNull()
  }, 240_000)
})
