import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fleetTable, type SlowTeam, slowTeam } from './guestbook-fleet.ts'
import { expectServes } from './on-disk.ts'

const [DONE, MENDABLE, USAGE] = [0, 1, 2]

let team: SlowTeam
beforeAll(async () => {
  team = await slowTeam({ targets: 2, fleets: fleetTable('staging', 'waves = ["100%"]') })
}, 120_000)
afterAll(() => team?.close())

const on = (command: string, ...args: string[]) => team.pybundle(command, '--environment', 'staging', ...args)
const current = async () => (await team.state()).current?.release ?? ''

describe('before anything was deployed', () => {
  it.each([
    ['rollback', [], MENDABLE, 'no release to go back to'],
    ['cancel', [], MENDABLE, 'No rollout of guestbook runs in staging'],
    ['repair', [], MENDABLE, 'Nothing of guestbook has been deployed to staging'],
    ['confirm-migration', ['--rollout', 'none', '--ended'], MENDABLE, 'No migration of rollout none is open'],
    ['confirm-migration', ['--rollout', 'none'], MENDABLE, 'one of --ended and --not-run'],
    ['confirm-migration', ['--ended'], USAGE, '--rollout <id>'],
    ['freeze', [], USAGE, '--reason <text>'],
    ['freeze', ['--reason', 'x', '--until', 'soon'], MENDABLE, '"soon" is not a time'],
    ['freeze', ['--reason', 'x', '--until', '2020-01-01'], MENDABLE, 'is in the past'],
    ['rollback', ['--revert'], USAGE, "unknown option '--revert'"],
  ])('%s %j says what is missing', async (command, args, code, words) => {
    const { exitCode, all } = await on(command, ...args)
    expect([exitCode, all]).toEqual([code, expect.stringContaining(words)])
  })

  it.each(['rollback', 'cancel', 'freeze', 'unfreeze', 'repair', 'confirm-migration'])(
    '%s names the environments that there are',
    async (command) => {
      const needed = { freeze: ['--reason', 'x'], 'confirm-migration': ['--rollout', 'x', '--ended'] }[
        command
      ]
      const { exitCode, all } = await team.pybundle(command, '--environment', 'stagign', ...(needed ?? []))
      expect([exitCode, all]).toEqual([MENDABLE, expect.stringMatching(/"stagign".*staging/s)])
    },
  )
})

describe('a rollback', () => {
  it('needs no argument, and takes seconds', async () => {
    expect((await team.publish()).exitCode).toBe(DONE)
    const first = await current()
    await team.change()
    expect((await team.publish()).exitCode).toBe(DONE)
    const second = await current()
    const began = performance.now()
    const { exitCode, all } = await on('rollback')
    console.info(`pybundle rollback took ${((performance.now() - began) / 1000).toFixed(1)} s`)
    expect([exitCode, all]).toEqual([DONE, expect.stringContaining(`release ${first} is live`)])
    await expectServes(team, team.fleet, first)
    expect(await team.state()).toMatchObject({ current: { release: first }, failed: [second] })
  }, 120_000)

  it('across a migration wants to be asked for by name, and migrates nothing', async () => {
    const first = await current()
    await team.takeRevision(2)
    expect((await team.publish()).exitCode).toBe(DONE)
    const asked = await on('rollback')
    expect([asked.exitCode, asked.all]).toEqual([MENDABLE, expect.stringContaining('--across-migrations')])
    expect((await on('rollback', '--across-migrations')).exitCode).toBe(DONE)
    await expectServes(team, team.fleet, first)
    expect(team.migrations()).toHaveLength(2)
  }, 120_000)
})

describe('a freeze', () => {
  it('lets no release in, says why, and is told by status, until it is lifted', async () => {
    const first = await current()
    expect((await on('freeze', '--reason', 'the fair')).exitCode).toBe(DONE)
    expect((await on('status')).all).toMatch(/frozen {4}by .*: the fair/)
    await team.change()
    const refused = await team.publish()
    expect([refused.exitCode, refused.all]).toEqual([MENDABLE, expect.stringMatching(/Frozen by .*the fair/)])
    await expectServes(team, team.fleet, first)
    expect((await on('unfreeze')).exitCode).toBe(DONE)
    expect((await on('status')).all).not.toContain('frozen')
  }, 120_000)
})
