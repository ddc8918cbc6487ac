import { expect, it } from 'vitest'
import { type Machine, openMachine } from './machine.ts'

async function three(policy: object = {}) {
  const machine = await openMachine({
    targets: 3,
    policy: { waves: [1, '100%'], bakeSeconds: 30, ...policy },
  })
  return { machine, first: await machine.rollOut('1') }
}
const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)

it('a target that was stopped before a rollout is left out, and counts nowhere', async () => {
  const { machine, first } = await three()
  machine.fleet.stop('i-3')
  const { record, release } = await machine.rollOut('2')
  expect(record.outcome).toBe('done')
  expect(served(machine)).toEqual([release, release, first.release])
  expect((await machine.state()).lock).toBeNull()
  machine.fleet.start('i-3')
  const next = await machine.rollOut('3')
  expect(next.record.outcome).toBe('done')
  expect(served(machine)).toEqual(Array(3).fill(next.release))
})

it('a target that is stopped after its wave does not undo the rollout', async () => {
  const { machine } = await three({ waves: ['100%'] })
  const { id, release } = await machine.publish('2')
  await machine.pass(
    600,
    async () => Object.values((await machine.record(id)).targets).filter((t) => t.activate).length === 3,
  )
  machine.fleet.stop('i-2')
  await machine.settle()
  expect((await machine.record(id)).outcome).toBe('done')
  expect(served(machine)).toEqual(Array(3).fill(release))
  expect(await machine.state()).toMatchObject({ lock: null, current: { release } })
})

it('an agent that falls silent in its wave fails the wave, and the others go back', async () => {
  const { machine, first } = await three()
  machine.fleet.target('i-3').seconds.activate = 20
  const { id, release } = await machine.publish('2')
  await machine.pass(600, () => machine.fleet.target('i-3').current === release)
  machine.fleet.silence('i-3')
  await machine.settle()
  const record = await machine.record(id)
  expect(['failed', 'rolled-back']).toContain(record.outcome)
  expect(record.reason).toContain('i-3')
  expect(served(machine).slice(0, 2)).toEqual([first.release, first.release])
  expect((await machine.state()).lock).toBeNull()
})

it('a target that is slower than its deadline fails, and one just within it does not', async () => {
  const { machine, first } = await three({ activateSeconds: 60 })
  machine.fleet.target('i-2').seconds.activate = 40
  const within = await machine.rollOut('2')
  expect(within.record.outcome).toBe('done')
  machine.fleet.target('i-2').seconds.activate = 3000
  const { record } = await machine.rollOut('3')
  expect(record.outcome).not.toBe('done')
  expect(record.reason).toContain('i-2')
  const state = await machine.state()
  expect(state).toMatchObject({ lock: null, current: { release: within.release } })
  expect(served(machine)[0]).toBe(within.release)
  expect(first.release).not.toBe(within.release)
})
