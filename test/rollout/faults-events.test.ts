import { expect, it } from 'vitest'
import { rolloutsPrefix } from '../../lib/release/keys.ts'
import { type Machine, openMachine, SCOPE } from './machine.ts'

const three = () => openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 90 } })
const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)
const records = async ({ store }: Machine) => (await store.list(rolloutsPrefix(SCOPE))).length
const looks = (machine: Machine, times: number) =>
  machine.clock.during(Promise.allSettled(Array.from({ length: times }, () => machine.look())))

it('a notification that comes a hundred times, at once and late, makes one rollout and one record', async () => {
  const machine = await three()
  const { id, release } = await machine.publish('1')
  const told = await looks(machine, 100)
  expect(told.filter(({ status }) => status === 'rejected')).toEqual([])
  await machine.pass(600, () => machine.fleet.target('i-1').current === release)
  await looks(machine, 100)
  await machine.settle()
  await looks(machine, 100)
  await machine.settle()
  expect(await records(machine)).toBe(1)
  expect(machine.executions()).toHaveLength(1)
  expect(await machine.record(id)).toMatchObject({ outcome: 'done' })
  for (const { done } of machine.fleet.targets()) {
    expect(done.filter(({ action }) => action === 'activate')).toHaveLength(1)
  }
})

it('two publishes in the same second both get an answer, and the fleet ends on one of them', async () => {
  const machine = await three()
  const asked = [await machine.publish('1'), await machine.publish('2')]
  await machine.settle()
  const outcomes = await Promise.all(asked.map(async ({ id }) => (await machine.record(id)).outcome))
  expect(outcomes).toEqual(['done', 'done'])
  expect(served(machine)).toEqual(Array(3).fill(asked[1]?.release))
})

it('a newer release in mid-wave goes next, and those between are superseded', async () => {
  const machine = await three()
  const first = await machine.publish('1')
  await machine.pass(600, () => machine.fleet.target('i-1').current === first.release)
  const between = [await machine.publish('2'), await machine.publish('3')]
  await machine.pass(5)
  const newest = await machine.publish('4')
  await machine.settle()
  const outcomes = await Promise.all(
    [first, ...between, newest].map(async ({ id }) => (await machine.record(id)).outcome),
  )
  expect(outcomes).toEqual(['done', 'superseded', 'superseded', 'done'])
  expect(served(machine)).toEqual(Array(3).fill(newest.release))
  expect((await machine.state()).lock).toBeNull()
})

it('an event that comes a day late undoes nothing', async () => {
  const machine = await three()
  const first = await machine.rollOut('1')
  const second = await machine.rollOut('2')
  const before = await machine.state()
  const tomorrow = new Date(Date.now() + 86_400_000)
  const over = machine.clock.sleepUntil(tomorrow, new AbortController().signal)
  await machine.pass(86_401)
  await over
  await looks(machine, 3)
  await machine.settle()
  expect(await machine.state()).toEqual(before)
  expect(served(machine)).toEqual(Array(3).fill(second.release))
  expect(await machine.record(first.id)).toEqual(first.record)
  expect(await records(machine)).toBe(2)
})
