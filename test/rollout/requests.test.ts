import { describe, expect, it } from 'vitest'
import { type Machine, openMachine } from './machine.ts'
import { catchUp } from './walk-steps.ts'

const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)
const three = () => openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 90 } })

async function rollBack(machine: Machine, extra: object = {}) {
  const id = await machine.ask({ action: 'rollback', ...extra })
  await machine.settle()
  return machine.record(id)
}

/** A second release whose first wave bakes. */
async function baking(machine: Machine) {
  const first = await machine.rollOut('1')
  const second = await machine.publish('2')
  await machine.pass(
    600,
    async () => (await machine.record(second.id)).targets['i-1']?.activate !== undefined,
  )
  return { first, second }
}

describe('a rollback', () => {
  it('goes to the release before, and a second one to the release before that', async () => {
    const machine = await three()
    const [one, two, three_] = [
      await machine.rollOut('1'),
      await machine.rollOut('2'),
      await machine.rollOut('3'),
    ]
    expect(await rollBack(machine)).toMatchObject({
      outcome: 'done',
      action: 'rollback',
      release: two.release,
    })
    expect(served(machine)).toEqual(Array(3).fill(two.release))
    expect((await machine.state()).failed).toEqual([three_.release])
    expect(await rollBack(machine)).toMatchObject({ outcome: 'done', release: one.release })
    expect(await rollBack(machine)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('No good release'),
    })
    expect(served(machine)).toEqual(Array(3).fill(one.release))
  })

  it('never goes to a release that failed', async () => {
    const machine = await three()
    const one = await machine.rollOut('1')
    const { release: bad } = await machine.upload('2')
    machine.fleet.behave(bad, { unhealthy: true })
    expect((await machine.rollOut('2')).record.outcome).toBe('rolled-back')
    await machine.rollOut('3')
    expect(await rollBack(machine)).toMatchObject({ release: one.release })
  })

  it('across a migration wants to be asked for by name, and migrates nothing itself', async () => {
    const machine = await three()
    const one = await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.behave(release, { migrateSeconds: 5 })
    machine.fleet.behave(one.release, { migrateSeconds: 5 })
    await machine.rollOut('2')
    expect(await rollBack(machine)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('--across-migrations'),
    })
    expect(served(machine)).toEqual(Array(3).fill(release))
    expect(await rollBack(machine, { acrossMigrations: true })).toMatchObject({
      outcome: 'done',
      release: one.release,
    })
    expect(machine.fleet.database).toHaveLength(1)
  })

  it('past a migration that may still be running wants that, too', async () => {
    const machine = await openMachine({
      targets: 3,
      policy: { waves: ['100%'], bakeSeconds: 0, migrateSeconds: 60 },
    })
    await machine.rollOut('1')
    const two = await machine.rollOut('2')
    const { release } = await machine.upload('3')
    machine.fleet.behave(release, { migrateSeconds: 5000 })
    expect((await machine.rollOut('3')).record.outcome).toBe('failed')
    expect(await rollBack(machine)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining(`${release} may still be migrating it on i-1`),
    })
    expect(served(machine)).toEqual(Array(3).fill(two.release))
  })

  it('whose target could not prepare leads to the same release again', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: ['100%'], bakeSeconds: 0 } })
    await machine.rollOut('1')
    const two = await machine.rollOut('2')
    await machine.rollOut('3')
    machine.fleet.target('i-3').fails.prepare = 'disk full'
    expect(await rollBack(machine)).toMatchObject({ outcome: 'failed', release: two.release })
    delete machine.fleet.target('i-3').fails.prepare
    expect(await rollBack(machine)).toMatchObject({ outcome: 'done', release: two.release })
  })

  it('takes seconds: the release is still on the targets', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: ['100%'], bakeSeconds: 0 } })
    await machine.rollOut('1')
    await machine.rollOut('2')
    const { startedAt, endedAt = '' } = await rollBack(machine)
    expect(Date.parse(endedAt) - Date.parse(startedAt)).toBeLessThan(15_000)
  })
})

describe('a rollback while the fleet is in between', () => {
  it('goes to the current release, also when a release after the stop could not be prepared', async () => {
    const machine = await openMachine({
      targets: 3,
      policy: { waves: [1, '100%'], onFailure: 'stop', bakeSeconds: 0 },
    })
    await machine.rollOut('1')
    const two = await machine.rollOut('2')
    const { release } = await machine.upload('3')
    for (const id of ['i-2', 'i-3']) machine.fleet.target(id).unhealthy.add(release)
    expect((await machine.rollOut('3')).record.outcome).toBe('stopped')
    machine.fleet.target('i-3').fails.prepare = 'disk full'
    expect((await machine.rollOut('4')).record.outcome).toBe('failed')
    delete machine.fleet.target('i-3').fails.prepare
    expect((await machine.state()).inBetween).toBe('stopped')
    expect(await rollBack(machine)).toMatchObject({ outcome: 'done', release: two.release })
    expect(await machine.state()).toMatchObject({ lock: null, inBetween: null })
  })

  it('finds a stop that catch-up has left alone, though a release came after it and told nobody', async () => {
    const machine = await openMachine({
      targets: 3,
      policy: { waves: [2, '100%'], onFailure: 'stop', bakeSeconds: 0 },
    })
    const one = await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.target('i-3').unhealthy.add(release)
    expect((await machine.rollOut('2')).record.outcome).toBe('stopped')
    // Who failed is told first.
    machine.fleet.target('i-3').fails.prepare = 'disk full'
    expect((await machine.rollOut('3')).record.outcome).toBe('failed')
    delete machine.fleet.target('i-3').fails.prepare
    await catchUp({ machine, terminated: new Set() })
    expect(served(machine)).toEqual([release, release, one.release])
    expect(await rollBack(machine)).toMatchObject({ outcome: 'done', release: one.release })
    expect(served(machine)).toEqual(Array(3).fill(one.release))
  })

  it('goes to the current release after going back had failed', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: ['100%'], bakeSeconds: 0 } })
    await machine.rollOut('1')
    const two = await machine.rollOut('2')
    const { release } = await machine.upload('3')
    machine.fleet.target('i-2').unhealthy.add(release)
    Object.assign(machine.fleet.target('i-1').fails, { revert: 'disk full', 'catch-up': 'disk full' })
    expect((await machine.rollOut('3')).record).toMatchObject({ outcome: 'failed' })
    expect((await machine.state()).inBetween).toBe('astray')
    for (const action of ['revert', 'catch-up']) delete machine.fleet.target('i-1').fails[action]
    expect(await rollBack(machine)).toMatchObject({ outcome: 'done', release: two.release })
    expect(served(machine)).toEqual(Array(3).fill(two.release))
  })
})

describe('a repair', () => {
  it('switches only the targets that serve something else, and migrates nothing', async () => {
    const machine = await three()
    const one = await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.behave(release, { migrateSeconds: 5 })
    await machine.rollOut('2')
    machine.fleet.target('i-2').current = one.release
    const id = await machine.ask({ action: 'repair' })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({ outcome: 'done', action: 'repair', release })
    expect((await machine.record(id)).phases.find(({ name }) => name === 'wave 1')).toMatchObject({
      targets: ['i-2'],
    })
    expect(served(machine)).toEqual(Array(3).fill(release))
    expect(machine.fleet.database).toHaveLength(1)
  })

  it('that fails tells who is not on the current release, which stays what it is', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: ['100%'], bakeSeconds: 0 } })
    const one = await machine.rollOut('1')
    const ill = machine.fleet.target('i-2')
    ill.current = 'somethingelse'
    Object.assign(ill.fails, { activate: 'disk full', 'catch-up': 'disk full' })
    const id = await machine.ask({ action: 'repair' })
    await machine.settle()
    const { outcome, reason } = await machine.record(id)
    expect(outcome).toBe('failed')
    expect(reason).toMatch(/disk full.* 1 of 3 are not on .*: i-2 serves somethingelse\.$/)
    expect(reason).not.toContain('Going back')
    expect(await machine.state()).toMatchObject({ current: { release: one.release }, failed: [] })
  })
})

describe('a cancel', () => {
  it('stops after the wave that is under way, in its bake, and leaves each target as it is', async () => {
    const machine = await three()
    const { first, second } = await baking(machine)
    const at = Date.now()
    const id = await machine.ask({ action: 'cancel', rollout: second.id })
    expect(await machine.record(id)).toMatchObject({ outcome: 'done' })
    await machine.settle()
    expect(await machine.record(second.id)).toMatchObject({
      outcome: 'stopped',
      reason: expect.stringContaining('Cancelled by test'),
    })
    expect(Date.now() - at).toBeLessThan(60_000)
    expect(served(machine)).toEqual([second.release, first.release, first.release])
    expect((await machine.state()).failed).toEqual([])
  })

  it('with --revert brings the fleet back', async () => {
    const machine = await three()
    const { first, second } = await baking(machine)
    await machine.ask({ action: 'cancel', rollout: second.id, revert: true })
    await machine.settle()
    expect(await machine.record(second.id)).toMatchObject({ outcome: 'rolled-back' })
    expect(served(machine)).toEqual(Array(3).fill(first.release))
    expect(await machine.state()).toMatchObject({ lock: null, failed: [] })
  })

  it('before the first wave activates nothing', async () => {
    const machine = await three()
    const first = await machine.rollOut('1')
    const second = await machine.publish('2')
    await machine.ask({ action: 'cancel', rollout: second.id })
    await machine.settle()
    expect(await machine.record(second.id)).toMatchObject({
      outcome: 'stopped',
      reason: 'Cancelled by test. Nothing was activated.',
    })
    expect(served(machine)).toEqual(Array(3).fill(first.release))
    expect(await machine.state()).toMatchObject({ lock: null, failed: [] })
  })

  it('during the last wave is heeded, also where no bake follows', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 0 } })
    const first = await machine.rollOut('1')
    const second = await machine.publish('2')
    machine.fleet.target('i-3').seconds.activate = 30
    await machine.pass(600, () => machine.fleet.target('i-2').current === second.release)
    const id = await machine.ask({ action: 'cancel', rollout: second.id, revert: true })
    await machine.settle()
    expect((await machine.record(id)).outcome).toBe('done')
    expect((await machine.record(second.id)).outcome).toBe('rolled-back')
    expect(served(machine)).toEqual(Array(3).fill(first.release))
  })

  it('comes too late, and is told so, once the whole fleet serves the release', async () => {
    const machine = await openMachine({ targets: 2, policy: { waves: ['100%'], bakeSeconds: 0 } })
    await machine.rollOut('1')
    const second = await machine.publish('2')
    const isServed = async () => (await machine.state()).current?.release === second.release
    await machine.pass(600, () => machine.fleet.target('i-2').current === second.release)
    machine.fleet.add('i-3').seconds['catch-up'] = 300
    await machine.pass(600, isServed)
    const id = await machine.ask({ action: 'cancel', rollout: second.id })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('has the whole fleet on its release already'),
    })
    expect((await machine.record(second.id)).outcome).toBe('done')
  })

  it('is for the rollout that it names and for no other', async () => {
    const machine = await three()
    const first = await machine.rollOut('1')
    const second = await machine.publish('2')
    const id = await machine.ask({ action: 'cancel', rollout: first.id })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({ outcome: 'refused' })
    expect((await machine.record(second.id)).outcome).toBe('done')
  })
})

describe('a freeze', () => {
  it('lets no release in until it is lifted, but a rollback', async () => {
    const machine = await three()
    const one = await machine.rollOut('1')
    await machine.rollOut('2')
    await machine.ask({ action: 'freeze', reason: 'the fair' })
    expect((await machine.rollOut('3')).record).toMatchObject({
      outcome: 'refused',
      reason: 'Frozen by test until it is lifted (pybundle unfreeze --environment production): the fair',
    })
    expect(await rollBack(machine)).toMatchObject({ outcome: 'done', release: one.release })
    await machine.ask({ action: 'unfreeze' })
    expect((await machine.rollOut('3')).record.outcome).toBe('done')
  })

  it('ends at its time', async () => {
    const machine = await three()
    const until = new Date(Date.now() + 7_200_000).toISOString()
    await machine.ask({ action: 'freeze', reason: 'the fair', until })
    expect((await machine.rollOut('1')).record.outcome).toBe('refused')
    const over = machine.clock.sleepUntil(new Date(until), new AbortController().signal)
    await machine.pass(7_300_000 / 1000)
    await over
    expect((await machine.rollOut('1')).record.outcome).toBe('done')
  })
})

describe('what waits', () => {
  it('is superseded by the newest, which goes next', async () => {
    const machine = await three()
    const [one, two, three_] = [
      await machine.publish('1'),
      await machine.publish('2'),
      await machine.publish('3'),
    ]
    await machine.settle()
    const outcomes = await Promise.all(
      [one, two, three_].map(async ({ id }) => (await machine.record(id)).outcome),
    )
    expect(outcomes).toEqual(['done', 'superseded', 'done'])
    expect(served(machine)).toEqual(Array(3).fill(three_.release))
  })
})
