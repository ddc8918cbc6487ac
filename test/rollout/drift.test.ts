import { describe, expect, it } from 'vitest'
import { writeFleetReport } from '../../lambda/fleet-report-store.ts'
import { latestWords } from '../../lib/cli/fleet-table.ts'
import { readStatus } from '../../lib/cli/status.ts'
import { fleetReport } from '../../lib/release/fleet-report.ts'
import { fleetKey } from '../../lib/release/keys.ts'
import { type Machine, openMachine, SCOPE } from './machine.ts'

const report = async ({ store }: Machine) => {
  const stored = await store.readJson(fleetKey(SCOPE))
  return stored ? fleetReport.parse(stored) : undefined
}

async function look(machine: Machine) {
  const before = (await report(machine))?.asOf
  await machine.lookAtFleet()
  await machine.pass(300, async () => (await report(machine))?.asOf !== before)
  return (await report(machine))?.targets
}

describe('a look at the fleet', () => {
  it('writes what each target really serves', async () => {
    const machine = await openMachine({ targets: 3 })
    const { release } = await machine.rollOut('1')
    machine.fleet.target('i-2').current = 'somethingelse'
    machine.fleet.silence('i-3')
    const seen = await look(machine)
    expect(seen).toMatchObject({
      'i-1': { release, presence: 'online' },
      'i-2': { release: 'somethingelse', presence: 'online' },
      'i-3': { presence: 'silent' },
    })
    expect(seen?.['i-3']).not.toHaveProperty('release')
  })

  it('does not wait for a target that hangs, and keeps what it said before', async () => {
    const machine = await openMachine({ targets: 2 })
    const { release } = await machine.rollOut('1')
    await look(machine)
    machine.fleet.target('i-2').seconds.status = 3600
    const seen = await look(machine)
    expect(seen?.['i-2']).toMatchObject({ release, presence: 'silent' })
  })

  it('tells who is stopped, and forgets who is terminated', async () => {
    const machine = await openMachine({ targets: 2 })
    await machine.rollOut('1')
    machine.fleet.stop('i-2')
    expect((await look(machine))?.['i-2']).toMatchObject({ presence: 'stopped' })
  })

  it('is asked for by a refresh also while a rollout bakes, once however often it is looked', async () => {
    const machine = await openMachine({ targets: 2, policy: { waves: [1, '100%'], bakeSeconds: 3600 } })
    const first = await machine.rollOut('1')
    const second = await machine.publish('2')
    await machine.pass(
      600,
      async () => (await machine.record(second.id)).targets['i-1']?.activate !== undefined,
    )
    const sends = () => machine.fleet.calls.filter((operation) => operation === 'SendCommand').length
    const before = sends()
    const id = await machine.ask({ action: 'refresh' })
    await Promise.all(Array.from({ length: 20 }, () => machine.lookAgain()))
    await machine.pass(120, async () => (await report(machine)) !== undefined)
    expect((await report(machine))?.targets).toMatchObject({
      'i-1': { release: second.release },
      'i-2': { release: first.release },
    })
    expect(sends() - before).toBe(1)
    expect(await machine.record(id)).toMatchObject({ outcome: 'done', action: 'refresh' })
    await machine.settle()
    expect((await machine.record(second.id)).outcome).toBe('done')
  })

  it('that began before a rollout is no news to what that rollout has seen', async () => {
    const machine = await openMachine({ targets: 2, policy: { waves: ['100%'], bakeSeconds: 0 } })
    await machine.rollOut('1')
    machine.fleet.target('i-2').seconds.status = 45
    await machine.lookAtFleet()
    await machine.pass(4)
    const { release } = await machine.publish('2')
    await machine.settle()
    await machine.pass(200, async () => (await report(machine)) !== undefined)
    const { rollouts, fleet } = await readStatus(machine.store, SCOPE)
    expect(fleet?.targets['i-1']?.release).not.toBe(release)
    expect(latestWords(fleet, rollouts)['i-1']?.release).toBe(release)
  })

  it('never goes back in time, whichever of two is written last', async () => {
    const machine = await openMachine({ targets: 1 })
    const seen = (asOf: string, release: string) =>
      writeFleetReport(machine.store, SCOPE, {
        asOf,
        members: ['i-1'],
        serves: { 'i-1': release },
        stopped: [],
      })
    await seen('2026-03-01T12:05:00.000Z', 'later')
    await seen('2026-03-01T12:00:00.000Z', 'earlier')
    expect((await report(machine))?.targets).toMatchObject({ 'i-1': { release: 'later' } })
  })
})
