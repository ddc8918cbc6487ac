import { describe, expect, it } from 'vitest'
import { MOST_LOOKS_MORE } from '../../lib/release/alarms.ts'
import type { FleetPolicy } from '../../lib/release/fleet.ts'
import { looksWithin } from '../../lib/release/progress.ts'
import { type Machine, openMachine } from './machine.ts'

const ALARM = 'shop-errors'
const RINGS = `Alarm "${ALARM}" is in ALARM: Threshold Crossed.`

/** A fleet on the release `first`, whose operator has an alarm watched. */
async function watchedMachine(policy: Partial<FleetPolicy> = {}) {
  const machine = await openMachine({
    targets: 2,
    policy: { alarms: [ALARM], waves: ['100%'], bakeSeconds: 0 },
  })
  for (const { seconds } of machine.fleet.targets()) Object.assign(seconds, { prepare: 2 })
  await machine.setAlarm(ALARM, 'OK')
  const first = await machine.rollOut('first')
  expect(first.record.outcome).toBe('done')
  machine.policy({ waves: [1, '100%'], bakeSeconds: 300, ...policy })
  return { machine, first }
}

/** Publishes, and lets time pass until a phase of it has begun. */
async function until(machine: Machine, phase: string) {
  const asked = await machine.publish('second')
  const hasBegun = async () => (await machine.record(asked.id)).phases.some(({ name }) => name === phase)
  await machine.pass(3600, hasBegun)
  const end = async () => {
    await machine.settle()
    return machine.record(asked.id)
  }
  return { ...asked, end }
}

const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)
const phases = ({ phases }: { phases: { name: string }[] }) => phases.map(({ name }) => name)

describe('an alarm of the operator', () => {
  it.each([
    ['that rings before', 'ALARM', RINGS],
    ['that there is none of', undefined, `Alarm "${ALARM}" does not exist.`],
  ] as const)('%s refuses a rollout, and nothing is touched', async (_what, state, reason) => {
    const machine = await openMachine({ targets: 2, policy: { alarms: [ALARM] } })
    if (state) await machine.setAlarm(ALARM, state)
    const { record } = await machine.rollOut('1')
    expect(record).toMatchObject({ outcome: 'refused', phases: [] })
    expect(record.reason).toContain(reason)
    expect(record.reason).toContain('pybundle rollback --environment production')
    expect(await machine.state()).toMatchObject({ lock: null, current: null, failed: [] })
    expect(machine.busEvents.map(({ detail }) => detail.status)).toEqual(['refused'])
  })

  it('that rings lets a rollback in, and a repair: they may be what ends it', async () => {
    const { machine, first } = await watchedMachine()
    await machine.rollOut('second')
    await machine.setAlarm(ALARM, 'ALARM')
    const back = await machine.ask({ action: 'rollback' })
    await machine.settle()
    expect((await machine.record(back)).outcome).toBe('done')
    expect(served(machine)).toEqual(Array(2).fill(first.release))
    const repair = await machine.ask({ action: 'repair' })
    await machine.settle()
    expect((await machine.record(repair)).outcome).toBe('done')
  })

  it('that rings while targets prepare keeps the first wave from beginning', async () => {
    const { machine, first } = await watchedMachine()
    const { end } = await until(machine, 'prepare')
    await machine.setAlarm(ALARM, 'ALARM')
    const record = await end()
    expect(record).toMatchObject({ outcome: 'failed', reason: `${RINGS} Nothing was activated.` })
    expect(phases(record)).not.toContain('wave 1')
    expect(await machine.state()).toMatchObject({ current: { release: first.release }, failed: [] })
  })

  it('that rings during a wave, and be it for a moment, makes it go back', async () => {
    const { machine, first } = await watchedMachine()
    for (const { seconds } of machine.fleet.targets()) Object.assign(seconds, { activate: 60 })
    const { release, end } = await until(machine, 'wave 1')
    await machine.setAlarm(ALARM, 'ALARM')
    await machine.pass(20)
    await machine.setAlarm(ALARM, 'OK')
    const record = await end()
    expect(record).toMatchObject({ outcome: 'rolled-back', reason: RINGS })
    expect(phases(record)).toEqual(['prepare first', 'prepare', 'migrate', 'wave 1', 'roll back'])
    expect(served(machine)).toEqual(Array(2).fill(first.release))
    expect((await machine.state()).failed).toEqual([release])
  })

  it('that rings in a bake ends it early, and stops there where the policy says so', async () => {
    const { machine, first } = await watchedMachine({ onFailure: 'stop' })
    const { release, end } = await until(machine, 'wave 1')
    await machine.pass(100)
    await machine.setAlarm(ALARM, 'ALARM')
    const record = await end()
    expect(record).toMatchObject({ outcome: 'stopped', reason: `${RINGS} Each target stays as it is.` })
    expect(Date.parse(record.endedAt ?? '') - Date.parse(record.startedAt)).toBeLessThan(200_000)
    expect(served(machine)).toEqual([release, first.release])
  })
})

describe('alarms that cannot be read', () => {
  it('refuse a rollout', async () => {
    const machine = await openMachine({ targets: 1, policy: { alarms: [ALARM] } })
    machine.clock.haste = 20
    machine.onAlarms(() => 'throttled')
    const { record } = await machine.rollOut('1')
    expect(record.outcome).toBe('refused')
    expect(record.reason).toContain('The alarms could not be read: Rate exceeded.')
  })

  it('before the migration are waited for, and for too long end it with nothing migrated', async () => {
    const { machine, first } = await watchedMachine()
    machine.clock.haste = 20
    const { end } = await until(machine, 'prepare')
    machine.onAlarms(() => 'throttled')
    const record = await end()
    expect(record).toMatchObject({
      outcome: 'failed',
      reason: 'The alarms could not be read: Rate exceeded. Nothing was activated.',
    })
    expect(phases(record)).toEqual(['prepare first', 'prepare'])
    expect(served(machine)).toEqual(Array(2).fill(first.release))
    machine.onAlarms(() => undefined)
    expect((await machine.rollOut('third')).record.outcome).toBe('done')
  })

  it('for a while are read again', async () => {
    const { machine } = await watchedMachine()
    machine.clock.haste = 20
    const { end } = await until(machine, 'wave 1')
    machine.onAlarms(() => 'throttled')
    await machine.pass(40)
    machine.onAlarms(() => undefined)
    expect(await end()).toMatchObject({ outcome: 'done' })
  })

  it('after one of them rang do not let it be forgotten', async () => {
    const { machine, first } = await watchedMachine()
    for (const { seconds } of machine.fleet.targets()) Object.assign(seconds, { activate: 60 })
    machine.clock.haste = 20
    const { end } = await until(machine, 'wave 1')
    await machine.setAlarm(ALARM, 'ALARM')
    await machine.pass(20)
    await machine.setAlarm(ALARM, 'OK')
    machine.onAlarms(() => 'throttled')
    expect(await end()).toMatchObject({ outcome: 'rolled-back', reason: RINGS })
    expect(served(machine)).toEqual(Array(2).fill(first.release))
  })

  it('for too long are taken for one that rings, also when all else is over', async () => {
    const { machine, first } = await watchedMachine({ bakeSeconds: 0 })
    machine.clock.haste = 20
    const { end } = await until(machine, 'wave 1')
    machine.onAlarms(() => 'throttled')
    const record = await end()
    expect(record).toMatchObject({ outcome: 'rolled-back' })
    expect(record.reason).toBe('The alarms could not be read: Rate exceeded.')
    expect(served(machine)).toEqual(Array(2).fill(first.release))
    const watch = machine
      .executions()
      .at(-1)
      ?.operations.find(({ Name }) => Name === 'watch wave 1')
    expect(watch?.StepDetails?.Attempt).toBeLessThanOrEqual(looksWithin(2) + 1 + MOST_LOOKS_MORE)
  })
})
