import { describe, expect, it } from 'vitest'
import { type Machine, openMachine } from './machine.ts'

const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)

async function under(moment: (machine: Machine, release: string) => boolean) {
  const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 90 } })
  const first = await machine.rollOut('1')
  const { release } = await machine.upload('2')
  machine.fleet.behave(release, { migrateSeconds: 60 })
  const { id } = await machine.publish('2')
  await machine.pass(600, () => moment(machine, release))
  return { machine, first, id, release }
}

const MOMENTS = {
  prepare: (machine: Machine, release: string) => machine.fleet.target('i-1').prepared.has(release),
  migration: (machine: Machine) => machine.fleet.database.length > 0,
  'mid-wave': (machine: Machine, release: string) => machine.fleet.target('i-1').current === release,
}

/** Each way to end, and each moment: what is done of it does not depend on both. */
const ENDS = [
  ['FAILED', 'prepare'],
  ['TIMED_OUT', 'migration'],
  ['STOPPED', 'mid-wave'],
] as const

describe('an engine that ended', () => {
  it.each(ENDS)('as %s in %s leaves one release, a record and a free lock', async (ended, when) => {
    const moment = MOMENTS[when]
    const { machine, first, id } = await under(moment)
    await machine.endEngine(ended)
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({
      outcome: moment === MOMENTS['mid-wave'] ? 'rolled-back' : 'failed',
      reason: expect.stringContaining(`The engine ended as ${ended}`),
    })
    expect(served(machine)).toEqual(Array(3).fill(first.release))
    expect(await machine.state()).toMatchObject({ lock: null, current: { release: first.release } })
    const next = await machine.rollOut('3')
    expect(next.record.outcome).toBe('done')
    expect(served(machine)).toEqual(Array(3).fill(next.release))
    expect(machine.fleet.database.length).toBeLessThan(2)
  })
})

it('an engine whose status event is lost is recovered by the schedule', async () => {
  const { machine, first, id } = await under(MOMENTS['mid-wave'])
  await machine.endEngine('FAILED', { isEventLost: true })
  expect((await machine.record(id)).outcome).toBe('running')
  await machine.lookAgain()
  await machine.settle()
  expect((await machine.record(id)).outcome).toBe('rolled-back')
  expect(served(machine)).toEqual(Array(3).fill(first.release))
  expect((await machine.state()).lock).toBeNull()
})
