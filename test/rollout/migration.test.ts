import { describe, expect, it } from 'vitest'
import { releaseKey } from '../../lib/release/keys.ts'
import { type Machine, openMachine, SCOPE } from './machine.ts'
import type { Behaviour } from './simulated-target.ts'

/** A fleet on release 1, and a second one that migrates for so long. */
async function migrating(migrateSeconds: number, behaviour: Behaviour = {}) {
  const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 0 } })
  const before = await machine.rollOut('1')
  const { release } = await machine.upload('2')
  machine.fleet.behave(release, { migrateSeconds, ...behaviour })
  const { id } = await machine.publish('2')
  return { machine, before: before.release, id, release }
}

const begun = ({ machine }: { machine: Machine }) =>
  machine.pass(600, () => machine.fleet.database.length > 0)
const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)
const overlaps = ({ fleet: { database } }: Machine) =>
  database.some((one) =>
    database.some(
      (two) =>
        one !== two && one.beganAt < (two.endedAt ?? Infinity) && two.beganAt < (one.endedAt ?? Infinity),
    ),
  )

const asksFor = (id: string) => expect.stringContaining(`--rollout ${id} --ended, or --not-run`)

/** Nothing migrates, and nothing is activated, until a person has said what became of it. */
async function expectUnknown({ machine, id, before }: Awaited<ReturnType<typeof migrating>>): Promise<void> {
  expect((await machine.rollOut('3')).record).toMatchObject({ outcome: 'failed', reason: asksFor(id) })
  expect(served(machine)).toEqual([before, before, before])
  expect(machine.fleet.database).toHaveLength(1)
  await machine.ask({ action: 'confirm-migration', rollout: id, ended: false })
  expect((await machine.rollOut('3')).record.outcome).toBe('done')
}

describe('a migration', () => {
  it('runs once, before any target serves the release, and the release record says so', async () => {
    const rollout = await migrating(120)
    const { machine, release, id, before } = rollout
    await begun(rollout)
    expect(await machine.state()).toMatchObject({ migration: { rollout: id, release, leader: 'i-1' } })
    expect(served(machine)).toEqual([before, before, before])
    await machine.settle()
    expect(served(machine)).toEqual([release, release, release])
    expect(machine.fleet.database).toHaveLength(1)
    expect(await machine.store.readJson(releaseKey(SCOPE, release))).toMatchObject({ migratedBy: id })
    expect(await machine.state()).toMatchObject({ migration: null, migrated: [{ release }] })
  })

  it('that fails stops the rollout with nothing activated, and the next one may try', async () => {
    const { machine, release, id, before } = await migrating(10, { migrateFails: true })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('The migration failed'),
    })
    expect(served(machine)).toEqual([before, before, before])
    machine.fleet.behave(release, { migrateSeconds: 10 })
    expect((await machine.rollOut('2')).record.outcome).toBe('done')
    expect(overlaps(machine)).toBe(false)
  })

  it('whose before_migrate fails has changed nothing, and nothing is activated', async () => {
    const { machine, id, before } = await migrating(10, { migrateHookFails: 'before_migrate' })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'failed',
      reason: 'The migration failed: before_migrate failed with exit code 1',
    })
    expect(served(machine)).toEqual([before, before, before])
    expect(await machine.state()).toMatchObject({ migration: null, migrated: [] })
  })

  it('whose after_migrate fails has ended, as the records say, and nothing is activated', async () => {
    const { machine, id, before, release } = await migrating(10, { migrateHookFails: 'after_migrate' })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'failed',
      reason: 'The migration ended, but not what follows it: after_migrate failed with exit code 1',
    })
    expect(served(machine)).toEqual([before, before, before])
    expect(await machine.state()).toMatchObject({ migration: null, migrated: [{ release }] })
    expect(await machine.store.readJson(releaseKey(SCOPE, release))).toMatchObject({ migratedBy: id })
  })

  it('whose leader is gone in its middle is unknown: nothing is activated, and the record names the command that confirms it', async () => {
    const rollout = await migrating(3000)
    const { machine, id, before, release } = rollout
    await begun(rollout)
    machine.fleet.terminate('i-1')
    await machine.settle()
    const reason = expect.stringContaining(
      `pybundle confirm-migration --environment production --rollout ${id} --ended, or --not-run`,
    )
    expect(await machine.record(id)).toMatchObject({ outcome: 'failed', reason })
    const again = await machine.rollOut('3')
    expect(again.record).toMatchObject({ outcome: 'failed', reason })
    expect(served(machine).slice(1)).toEqual([before, before])
    expect(machine.fleet.database).toHaveLength(1)

    await machine.ask({ action: 'confirm-migration', rollout: id, ended: true })
    const after = await machine.rollOut('3')
    expect(after.record.outcome).toBe('done')
    expect(served(machine).slice(1)).toEqual([after.release, after.release])
    expect((await machine.state()).migrated).toMatchObject([{ release }])
  })

  it('that is left running by a dead engine is waited for by the next rollout, on its own leader', async () => {
    const rollout = await migrating(600)
    const { machine, id } = rollout
    await begun(rollout)
    await machine.endEngine()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('Nothing was activated'),
    })
    const { release } = await machine.upload('3')
    machine.fleet.behave(release, { migrateSeconds: 30 })
    machine.fleet.target('i-1').seconds.prepare = 1
    const { record } = await machine.rollOut('3')
    expect(record.outcome).toBe('done')
    expect(machine.fleet.database.map(({ target }) => target)).toEqual(['i-1', 'i-1'])
    expect(overlaps(machine)).toBe(false)
    expect(served(machine)).toEqual([release, release, release])
  })

  it('whose leader was rebooted in its middle is unknown, though the leader is there: a person has to look', async () => {
    const rollout = await migrating(600)
    const { machine, id } = rollout
    await begun(rollout)
    await machine.pass(60, async () => (await machine.state()).migration?.hasBegun ?? false)
    machine.fleet.start('i-1')
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({ outcome: 'failed', reason: asksFor(id) })
    await expectUnknown(rollout)
  })

  it('whose leader was rebooted before it could say that it had begun is unknown, too', async () => {
    const rollout = await migrating(600)
    const { machine, id } = rollout
    machine.fleet.target('i-1').seconds.migrate = 60
    await begun(rollout)
    machine.fleet.start('i-1')
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({ outcome: 'failed', reason: asksFor(id) })
    await expectUnknown(rollout)
  })

  it('whose engine died before it could note that it had begun, and whose leader was rebooted, is unknown', async () => {
    const rollout = await migrating(600)
    const { machine } = rollout
    machine.fleet.target('i-1').seconds.migrate = 60
    await begun(rollout)
    expect((await machine.state()).migration?.hasBegun).toBeUndefined()
    await machine.endEngine()
    machine.fleet.start('i-1')
    await machine.settle()
    await expectUnknown(rollout)
  })

  it('that was interrupted after its engine had died is told by its leader to the next rollout', async () => {
    const rollout = await migrating(600)
    const { machine, id, before } = rollout
    await begun(rollout)
    await machine.pass(60, async () => (await machine.state()).migration?.hasBegun ?? false)
    await machine.endEngine()
    machine.fleet.start('i-1')
    expect((await machine.rollOut('3')).record).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining(`--rollout ${id} --ended, or --not-run`),
    })
    expect(served(machine)).toEqual([before, before, before])
    expect(machine.fleet.database).toHaveLength(1)
  })

  it.each([
    [2, 990],
    [40, 970],
    [40, 999],
  ])(
    'is in time until the last moment, also where its leader takes %s s to say so: %s of 1,000 s',
    async (answers, seconds) => {
      const rollout = await migrating(seconds)
      rollout.machine.policy({ migrateSeconds: 1000 })
      rollout.machine.fleet.target('i-1').seconds.migrate = answers
      await rollout.machine.settle()
      expect(await rollout.machine.record(rollout.id)).toMatchObject({ outcome: 'done' })
    },
  )

  it('that takes longer than it may is never joined by another one', async () => {
    const rollout = await migrating(5000)
    const { machine, id } = rollout
    machine.policy({ migrateSeconds: 300 })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('still runs on i-1'),
    })
    const { release } = await machine.upload('3')
    machine.fleet.behave(release, { migrateSeconds: 30 })
    expect((await machine.rollOut('3')).record).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('still runs on i-1'),
    })
    expect(machine.fleet.database).toHaveLength(1)
    await machine.pass(6000)
    expect((await machine.rollOut('3')).record.outcome).toBe('done')
    expect(overlaps(machine)).toBe(false)
  })

  it('that was made stays made when the wave after it fails, and the record says so', async () => {
    const { machine, release, id, before } = await migrating(10)
    machine.fleet.target('i-2').unhealthy.add(release)
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'rolled-back',
      reason: expect.stringContaining(`The database stays migrated to ${release}`),
    })
    expect(served(machine)).toEqual([before, before, before])
  })
})
