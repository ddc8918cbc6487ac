import { describe, expect, it } from 'vitest'
import { type Machine, openMachine } from './machine.ts'

const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)

/** The second release is in the bake of its first wave when its engine dies. */
async function diedInMidWave(meanwhile: (machine: Machine) => void = () => {}) {
  const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 90 } })
  const first = await machine.rollOut('1')
  const second = await machine.publish('2')
  await machine.pass(600, () => machine.fleet.target('i-1').current === second.release)
  meanwhile(machine)
  await machine.endEngine()
  return { machine, first, second }
}

describe('an engine that dies', () => {
  it('in mid-wave leaves a fleet that is brought back on one release', async () => {
    const { machine, first, second } = await diedInMidWave()
    await machine.settle()
    expect(await machine.record(second.id)).toMatchObject({
      outcome: 'rolled-back',
      reason: 'The engine ended as STOPPED in mid-rollout.',
    })
    expect(served(machine)).toEqual(Array(3).fill(first.release))
    expect(await machine.state()).toMatchObject({ lock: null, failed: [] })
    expect((await machine.rollOut('3')).record.outcome).toBe('done')
  })

  it('in mid-wave, with nobody there to be told, leaves a fleet of which is known that it is in between', async () => {
    const ALL = ['i-1', 'i-2', 'i-3']
    const { machine, first, second } = await diedInMidWave(({ fleet }) => {
      for (const target of ALL) fleet.stop(target)
    })
    await machine.settle()
    expect((await machine.record(second.id)).outcome).toBe('failed')
    expect((await machine.state()).inBetween).toBe('astray')
    for (const target of ALL) machine.fleet.start(target)
    await machine.ask({ action: 'rollback' })
    await machine.settle()
    expect(served(machine)).toEqual(ALL.map(() => first.release))
  })

  it('in the midst of a rollback is followed by one that knows that it is one', async () => {
    const { machine, first } = await diedInMidWave()
    await machine.settle()
    await machine.rollOut('3')
    const id = await machine.ask({ action: 'rollback' })
    await machine.pass(600, () => machine.fleet.target('i-1').current === first.release)
    await machine.endEngine()
    await machine.pass(60, async () => (await machine.state()).lock?.recovery !== undefined)
    expect((await machine.state()).lock).toMatchObject({
      request: id,
      isRollback: true,
      recovery: { tries: 1 },
    })
    await machine.settle()
    expect((await machine.state()).lock).toBeNull()
  })

  it('while it brings the fleet back is followed by another one, three times', async () => {
    const { machine, first, second } = await diedInMidWave()
    await machine.endEngine()
    await machine.settle()
    expect(served(machine)).toEqual(Array(3).fill(first.release))
    expect((await machine.record(second.id)).outcome).toBe('rolled-back')
  })

  it('is brought to an end by another one, which nobody cancels', async () => {
    const { machine, first, second } = await diedInMidWave()
    const id = await machine.ask({ action: 'cancel', rollout: second.id })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('is being brought together already'),
    })
    expect(served(machine)).toEqual(Array(3).fill(first.release))
  })

  it('leaves commands that the next one does not take for its own', async () => {
    const { machine, first } = await diedInMidWave()
    machine.fleet.target('i-1').seconds.activate = 20
    await machine.pass(60, () => machine.fleet.target('i-1').current === first.release)
    await machine.endEngine()
    const { lock } = await machine.state()
    await machine.settle()
    const reverts = machine.fleet.target('i-1').done.filter(({ action }) => action === 'revert')
    expect(reverts.map(({ token }) => token)).toContain(lock?.token)
    expect(served(machine)).toEqual(Array(3).fill(first.release))
  })

  it('again and again is given up, and the record says what to do', async () => {
    const { machine, second } = await diedInMidWave()
    for (let tries = 0; tries < 3; tries++) await machine.endEngine()
    await machine.settle()
    expect(await machine.record(second.id)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('3 times also in bringing the fleet together'),
    })
    expect((await machine.state()).lock).toBeNull()
  })

  it('again and again leaves a fleet that a rollback brings to its current release', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 90 } })
    await machine.rollOut('1')
    const two = await machine.rollOut('2')
    const three = await machine.publish('3')
    await machine.pass(600, () => machine.fleet.target('i-1').current === three.release)
    for (let tries = 0; tries < 4; tries++) await machine.endEngine()
    await machine.settle()
    expect((await machine.state()).inBetween).toBe('astray')
    const id = await machine.ask({ action: 'rollback' })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({ outcome: 'done', release: two.release })
    expect(served(machine)).toEqual(Array(3).fill(two.release))
  })

  it('after a migration leaves a record that says that the database stays migrated', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 90 } })
    await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.behave(release, { migrateSeconds: 5 })
    const { id } = await machine.publish('2')
    await machine.pass(600, () => machine.fleet.target('i-1').current === release)
    await machine.endEngine()
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'rolled-back',
      reason: expect.stringContaining(`The database stays migrated to ${release}`),
    })
  })

  it('between both writes of its end leaves a stop a stop', async () => {
    const machine = await openMachine({
      targets: 3,
      policy: { waves: [1, '100%'], onFailure: 'stop', bakeSeconds: 0 },
    })
    await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.target('i-3').unhealthy.add(release)
    const { id } = await machine.publish('2')
    await machine.pass(600, () => machine.fleet.target('i-1').current === release)
    machine.onS3((method, path) =>
      method === 'PUT' && path.endsWith('state.json') ? 'throttled' : undefined,
    )
    await machine.pass(600, async () => (await machine.record(id)).outcome === 'stopped')
    machine.onS3(() => undefined)
    await machine.endEngine()
    await machine.settle()
    expect(await machine.state()).toMatchObject({ lock: null, inBetween: 'stopped' })
  })

  it('before it switched anything is only recorded', async () => {
    const machine = await openMachine({ targets: 3 })
    const first = await machine.rollOut('1')
    const second = await machine.publish('2')
    await machine.pass(2)
    await machine.endEngine()
    await machine.settle()
    expect(await machine.record(second.id)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('Nothing was activated'),
    })
    expect(served(machine)).toEqual(Array(3).fill(first.release))
  })

  it('is recovered by whoever looks again, also when its last event was lost', async () => {
    const { machine, first, second } = await diedInMidWave()
    await machine.lookAgain()
    await machine.lookAgain()
    await machine.settle()
    expect((await machine.record(second.id)).outcome).toBe('rolled-back')
    expect(served(machine)).toEqual(Array(3).fill(first.release))
  })

  it('when it brought the same release out again is finished, not undone', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 90 } })
    const first = await machine.rollOut('1')
    for (const id of ['i-1', 'i-2', 'i-3']) machine.fleet.target(id).current = null
    const again = await machine.publish('1')
    await machine.pass(600, () => machine.fleet.target('i-1').current === first.release)
    await machine.endEngine()
    await machine.settle()
    expect((await machine.record(again.id)).outcome).toBe('done')
    expect(served(machine)).toEqual(Array(3).fill(first.release))
  })
})
