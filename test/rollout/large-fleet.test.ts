import { expect, it } from 'vitest'
import { type Machine, openMachine } from './machine.ts'
import { measured } from './measured.ts'

/** `npm run test:proofs` takes 2,400, as many as an account has by default; `npm test` fewer. */
const SIZE = Number(process.env.PYBUNDLE_FLEET ?? 300)

/** As long as those of EC2. */
const idOf = (index: number) => `i-${index.toString(16).padStart(17, '0')}`

const POLICY = {
  waves: [1, '10%', '50%', '100%'] as [number, ...string[]],
  bakeSeconds: 60,
  maxConcurrency: '50%',
  maxPrepareFailures: '2%',
  maxActivateFailures: '2%',
}

/** All on one release; from then on installing takes one to three minutes, restarting up to twenty seconds. */
async function openFleet(): Promise<{ machine: Machine; before: string }> {
  const machine = await openMachine({ targets: 0, policy: { waves: ['100%'], bakeSeconds: 0 } })
  for (let index = 0; index < SIZE; index++) machine.fleet.add(idOf(index))
  const { release: before } = await machine.rollOut('before')
  for (const [index, { seconds }] of machine.fleet.targets().entries()) {
    Object.assign(seconds, { prepare: 60 + ((index * 7) % 120), activate: 3 + ((index * 5) % 18) })
  }
  machine.policy(POLICY)
  return { machine, before }
}

/** A few of these, spread over the fleet. */
const some = ({ oneOf, first }: { oneOf: number; first: number }) =>
  Array.from({ length: Math.ceil((SIZE - first) / oneOf) }, (_, index) => idOf(first + index * oneOf))

it('of a large fleet those that fail are left out, and everybody else comes to the new release', async () => {
  const { machine, before } = await openFleet()
  const { release } = await machine.upload('after')
  const unready = some({ oneOf: 280, first: 11 })
  const unhealthy = some({ oneOf: 280, first: 17 })
  const silent = some({ oneOf: 280, first: 23 })
  const gone = some({ oneOf: 280, first: 29 })
  for (const id of unready) machine.fleet.target(id).fails.prepare = 'disk full'
  for (const id of unhealthy) machine.fleet.target(id).unhealthy.add(release)
  const { outcome, reason, targets } = await measured(machine, async () => {
    const { id } = await machine.publish('after')
    await machine.pass(3600, () => machine.fleet.target(idOf(0)).prepared.has(release))
    for (const each of silent) machine.fleet.silence(each)
    await machine.pass(3600, () => machine.fleet.target(idOf(0)).current === release)
    for (const each of gone) machine.fleet.terminate(each)
    await machine.settle()
    return machine.record(id)
  })
  expect(outcome).toBe('done')
  expect(reason).toContain('failed, as many as may')
  for (const id of unready) expect(targets[id]?.prepare?.reason).toBe('disk full')
  for (const id of unhealthy) expect(machine.fleet.target(id).current).toBe(before)
  for (const id of silent) expect(targets[id]?.prepare).toMatchObject({ outcome: 'failed', silent: true })
  const leftOut = new Set([...unready, ...unhealthy, ...silent, ...gone])
  const others = machine.fleet.targets().filter(({ id }) => !leftOut.has(id))
  expect(new Set(others.map(({ current: serves }) => serves))).toEqual(new Set([release]))
  expect((await machine.state()).failedTargets.sort()).toEqual([...unready, ...unhealthy, ...silent].sort())
}, 180_000)

it('a large fleet goes back as a whole when too many fail', async () => {
  const { machine, before } = await openFleet()
  const { release } = await machine.upload('after')
  for (const id of some({ oneOf: 20, first: 19 })) machine.fleet.target(id).unhealthy.add(release)
  const { outcome } = await measured(machine, async () => (await machine.rollOut('after')).record)
  expect(outcome).toBe('rolled-back')
  const served = new Set(machine.fleet.targets().map(({ current }) => current))
  expect(served).toEqual(new Set([before]))
}, 180_000)
