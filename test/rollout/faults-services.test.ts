import { expect, it } from 'vitest'
import { type Machine, openMachine, SCOPE } from './machine.ts'
import type { Fault } from './simulated-fleet.ts'

const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)

async function holds(machine: Machine, rolledOut: Awaited<ReturnType<Machine['rollOut']>>) {
  expect(rolledOut.record.outcome).toBe('done')
  expect(served(machine)).toEqual(Array(3).fill(rolledOut.release))
  expect(await machine.state()).toMatchObject({ lock: null, current: { release: rolledOut.release } })
  expect(machine.fleet.database).toHaveLength(1)
  for (const { done } of machine.fleet.targets()) {
    const activated = done.filter(
      ({ action, release }) => action === 'activate' && release === rolledOut.release,
    )
    expect(activated).toHaveLength(1)
  }
}

async function migratingMachine() {
  const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 30 } })
  await machine.rollOut('1')
  const { release } = await machine.upload('2')
  machine.fleet.behave(release, { migrateSeconds: 5 })
  return machine
}

/** Of each kind of call the first has this fault; of the answers every third. Who is throttled waits in real time. */
function nowAndThen(fault: Fault): { decide: (kind: string) => Fault; kinds: Map<string, number> } {
  const kinds = new Map<string, number>()
  const decide = (kind: string) => {
    const calls = kinds.get(kind) ?? 0
    kinds.set(kind, calls + 1)
    const isDue = fault === 'throttled' ? calls === 0 : calls % 3 === 0
    return isDue ? fault : undefined
  }
  return { decide, kinds }
}

it.each(['throttled', 'answer lost'] as const)(
  'S3 with each kind of call %s now and then costs time only',
  async (fault) => {
    const machine = await migratingMachine()
    const { decide, kinds } = nowAndThen(fault)
    const prefix = `${SCOPE.environment}/${SCOPE.app}`
    machine.onS3((method, path) => decide(`${method} ${path.split(prefix)[1]?.split('/')[1] ?? ''}`))
    const rolledOut = await machine.rollOut('2')
    machine.onS3(() => undefined)
    expect([...kinds.keys()].join()).toMatch(/PUT.*state/)
    await holds(machine, rolledOut)
  },
)

// Throttled it is in policy.test.ts: but for SendCommand, the SDK's adaptive mode waits by a clock that stands here.
it('Run Command with the answers to each kind of call lost now and then costs time only', async () => {
  const machine = await migratingMachine()
  const { decide, kinds } = nowAndThen('answer lost')
  machine.fleet.onCall(decide)
  const rolledOut = await machine.rollOut('2')
  machine.fleet.onCall(() => undefined)
  expect([...kinds.keys()]).toContain('SendCommand')
  await holds(machine, rolledOut)
})
