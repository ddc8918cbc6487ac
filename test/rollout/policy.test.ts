import { describe, expect, it } from 'vitest'
import { type Machine, openMachine } from './machine.ts'

const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)
const actions = (machine: Machine, id: string, release: string) =>
  machine.fleet
    .target(id)
    .done.filter((done) => done.release === release)
    .map(({ action }) => action)

describe('failures while preparing', () => {
  it('stop a rollout with nothing activated when they are more than may be', async () => {
    const machine = await openMachine({ policy: { maxPrepareFailures: '20%' } })
    const before = await machine.rollOut('1')
    for (const id of ['i-2', 'i-4']) machine.fleet.target(id).fails.prepare = 'disk full'
    const { record } = await machine.rollOut('2')
    expect(record).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining('2 of 5 failed. i-2: disk full'),
    })
    expect(served(machine)).toEqual(Array(5).fill(before.release))
    expect(
      machine.fleet
        .targets()
        .every(({ done }) => done.every(({ token, action }) => token < 2 || action === 'prepare')),
    ).toBe(true)
  })

  it('are left out of the waves when they are not, and come first next time', async () => {
    const machine = await openMachine({ policy: { maxPrepareFailures: '20%' } })
    const first = await machine.rollOut('1')
    machine.fleet.target('i-4').fails.prepare = 'disk full'
    const { record, release } = await machine.rollOut('2')
    expect(record).toMatchObject({
      outcome: 'done',
      reason: expect.stringContaining('1 failed, as many as may: i-4'),
    })
    expect(served(machine)).toEqual([release, release, release, first.release, release])
    delete machine.fleet.target('i-4').fails.prepare
    const next = await machine.rollOut('3')
    expect(next.record.phases[0]).toMatchObject({ name: 'prepare first', targets: ['i-4'] })
    expect(served(machine)).toEqual(Array(5).fill(next.release))
  })

  it('include an agent that is silent on a running instance', async () => {
    const machine = await openMachine()
    machine.fleet.silence('i-3')
    const { record } = await machine.rollOut('1')
    expect(record).toMatchObject({
      outcome: 'failed',
      reason: '1 of 5 run, but their agents are silent: i-3',
    })
  })

  it('include an agent that falls silent before it is told to', async () => {
    const machine = await openMachine()
    await machine.rollOut('1')
    const { id, release } = await machine.publish('2')
    await machine.pass(60, () => machine.fleet.target('i-1').prepared.has(release))
    machine.fleet.silence('i-3')
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(
        /1 of 5 failed. i-3: (gave no verdict: DeliveryTimedOut|has not answered)/,
      ),
    })
  })
})

describe('failures while activating', () => {
  it('bring the whole fleet back on one release when they are more than may be', async () => {
    const machine = await openMachine()
    const before = await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.target('i-5').unhealthy.add(release)
    const { record } = await machine.rollOut('2')
    expect(record).toMatchObject({ outcome: 'rolled-back', reason: '1 of 5 failed. i-5: not healthy' })
    expect(record.phases.map(({ name }) => name)).toContain('wave 3')
    expect(served(machine)).toEqual(Array(5).fill(before.release))
    expect(await machine.state()).toMatchObject({
      lock: null,
      failed: [release],
      current: { release: before.release },
    })
  })

  it('count over all waves together', async () => {
    const machine = await openMachine({ policy: { maxActivateFailures: 1 } })
    const before = await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.target('i-2').unhealthy.add(release)
    machine.fleet.target('i-5').unhealthy.add(release)
    const { record } = await machine.rollOut('2')
    expect(record).toMatchObject({
      outcome: 'rolled-back',
      reason: expect.stringContaining('2 of 5 failed. i-5'),
    })
    expect(served(machine)).toEqual(Array(5).fill(before.release))
  })

  it('leave each target as it is where the operator wants that, until somebody decides', async () => {
    const machine = await openMachine({ policy: { onFailure: 'stop' } })
    const before = await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.target('i-3').unhealthy.add(release)
    const { record } = await machine.rollOut('2')
    expect(record).toMatchObject({
      outcome: 'stopped',
      reason: expect.stringContaining('Each target stays as it is'),
    })
    expect(served(machine)).toEqual([release, release, before.release, before.release, before.release])
    expect(await machine.state()).toMatchObject({ lock: null, inBetween: 'stopped' })

    const id = await machine.ask({ action: 'rollback' })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({ outcome: 'done', release: before.release })
    expect(served(machine)).toEqual(Array(5).fill(before.release))
  })

  it('bring a target back that never served the release before', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: ['100%'] } })
    const before = await machine.rollOut('1')
    machine.fleet.add('i-9')
    const { release } = await machine.upload('2')
    machine.fleet.target('i-1').unhealthy.add(release)
    const { record } = await machine.rollOut('2')
    expect(record.outcome).toBe('rolled-back')
    expect(served(machine)).toEqual(Array(4).fill(before.release))
  })

  it('say so when a target could not be brought back', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'] } })
    await machine.rollOut('1')
    const { release } = await machine.upload('2')
    machine.fleet.target('i-2').unhealthy.add(release)
    const { id } = await machine.publish('2')
    await machine.pass(60, () => machine.fleet.target('i-1').current === release)
    Object.assign(machine.fleet.target('i-1').fails, { revert: 'disk full', 'catch-up': 'disk full' })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringContaining(`Going back failed too: 1 of 3 are not on`),
    })
  })
})

describe('a target', () => {
  it('that is on the release already is skipped', async () => {
    const machine = await openMachine()
    const first = await machine.rollOut('1')
    expect((await machine.rollOut('1')).release).toBe(first.release)
    for (const { id } of machine.fleet.targets()) {
      expect(actions(machine, id, first.release).filter((action) => action === 'activate')).toHaveLength(1)
    }
  })

  it.each(['stop', 'terminate'] as const)(
    'that somebody lets %s in mid-wave neither hangs nor fails the rollout',
    async (how) => {
      const machine = await openMachine({ targets: 4, policy: { waves: [1, '100%'], bakeSeconds: 0 } })
      await machine.rollOut('1')
      const { id, release } = await machine.publish('2')
      const started = Date.now()
      await machine.pass(600, () => machine.fleet.target('i-1').current === release)
      machine.fleet.target('i-3').seconds.activate = 20
      await machine.pass(600, () => machine.fleet.target('i-3').current === release)
      machine.fleet[how]('i-3')
      await machine.settle()
      expect(await machine.record(id)).toMatchObject({
        outcome: 'done',
        targets: { 'i-3': { activate: { outcome: 'gone' } } },
      })
      expect(Date.now() - started).toBeLessThan(300_000)
      expect([1, 2, 4].map((n) => machine.fleet.target(`i-${n}`).current)).toEqual(Array(3).fill(release))
    },
  )

  it('that was terminated since the fleet was listed spoils no call for the others', async () => {
    const machine = await openMachine()
    await machine.rollOut('1')
    const { id, release } = await machine.publish('2')
    await machine.pass(600, () => machine.fleet.target('i-5').prepared.has(release))
    machine.fleet.terminate('i-5')
    await machine.settle()
    expect((await machine.record(id)).outcome).toBe('done')
    expect(served(machine).slice(0, 4)).toEqual(Array(4).fill(release))
  })

  it('that comes in mid-rollout ends on the right release, and migrates nothing', async () => {
    const machine = await openMachine()
    await machine.rollOut('1')
    const { id, release } = await machine.publish('2')
    await machine.pass(600, () => machine.fleet.target('i-1').current === release)
    machine.fleet.add('i-9')
    await machine.settle()
    expect((await machine.record(id)).outcome).toBe('done')
    expect(machine.fleet.target('i-9').done.map(({ action }) => action)).toEqual(['catch-up'])
    expect(machine.fleet.target('i-9').current).toBe(release)
  })
})

describe('a bake', () => {
  it('lasts as long as it was told, after each wave', async () => {
    const machine = await openMachine({ targets: 2, policy: { waves: [1, '100%'], bakeSeconds: 200 } })
    const { phases, endedAt = '' } = (await machine.rollOut('1')).record
    const waves = phases.filter(({ name }) => name.startsWith('wave'))
    const bakes = waves.map((wave, index) => {
      const next = waves[index + 1]?.startedAt ?? endedAt
      return (Date.parse(next) - Date.parse(wave.endedAt ?? '')) / 1000
    })
    for (const seconds of bakes) expect(Math.abs(seconds - 200)).toBeLessThan(8)
  })

  it('ends with a proof that its wave is still healthy; where it is not, the whole fleet goes back', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 120 } })
    const first = await machine.rollOut('1')
    const { id, release } = await machine.publish('2')
    await machine.pass(600, async () => (await machine.record(id)).targets['i-1']?.activate !== undefined)
    machine.fleet.target('i-1').unhealthy.add(release)
    await machine.settle()
    const record = await machine.record(id)
    expect(record).toMatchObject({
      outcome: 'rolled-back',
      reason: expect.stringContaining('i-1: not healthy any more'),
    })
    expect(record.phases.map(({ name }) => name)).not.toContain('wave 2')
    expect(machine.fleet.targets().map(({ current }) => current)).toEqual(Array(3).fill(first.release))
  })
})

describe('a fleet that is ill as a whole when its last bake ends', () => {
  it('goes back, however many failures are allowed', async () => {
    const policy = { waves: ['100%' as const], bakeSeconds: 60, maxActivateFailures: 2 }
    const machine = await openMachine({ targets: 2, policy })
    const first = await machine.rollOut('1')
    const { id, release } = await machine.publish('2')
    const { targets } = machine.fleet
    await machine.pass(600, () => targets().every((target) => target.current === release && target.isProven))
    for (const target of targets()) target.unhealthy.add(release)
    await machine.settle()
    expect((await machine.record(id)).outcome).toBe('rolled-back')
    expect(machine.fleet.targets().map(({ current }) => current)).toEqual(Array(2).fill(first.release))
  })
})

describe('the service', () => {
  it('may throttle SendCommand, and may lose its answers: nothing is done twice', async () => {
    const machine = await openMachine()
    await machine.rollOut('1')
    machine.clock.haste = 20
    let sends = 0
    machine.fleet.onCall((operation) => {
      if (operation !== 'SendCommand') return undefined
      return (['throttled', 'answer lost', undefined] as const)[sends++ % 3]
    })
    const { record, release } = await machine.rollOut('2')
    expect(record.outcome).toBe('done')
    for (const { id } of machine.fleet.targets()) {
      expect(actions(machine, id, release).sort()).toEqual(
        id === 'i-1' ? ['activate', 'check', 'migrate', 'prepare'] : ['activate', 'check', 'prepare'],
      )
    }
  })
})

describe('the document', () => {
  it('stays at the version with which a rollout began, when the stack is updated meanwhile', async () => {
    const machine = await openMachine()
    const { id, release } = await machine.publish('1')
    await machine.pass(60, () => machine.fleet.target('i-1').prepared.has(release))
    machine.fleet.updateDocument()
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({ outcome: 'done' })
    expect(new Set(machine.fleet.versionsSent(id))).toEqual(new Set(['1']))
    expect(served(machine)).toEqual(Array(5).fill(release))
    const next = await machine.rollOut('2')
    expect(new Set(machine.fleet.versionsSent(next.id))).toEqual(new Set(['2']))
  })
})
