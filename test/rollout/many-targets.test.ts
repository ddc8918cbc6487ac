import { describe, expect, it } from 'vitest'
import { openMachine } from './machine.ts'

const durationOf = ({ startedAt = '', endedAt = '' } = {}) =>
  (Date.parse(endedAt) - Date.parse(startedAt)) / 1000

describe('of many targets', () => {
  it('the last one, stopped while it prepares, is missed within a minute', async () => {
    const machine = await openMachine({ targets: 250, policy: { bakeSeconds: 0 } })
    for (const target of machine.fleet.targets()) target.seconds.prepare = 20
    const { id } = await machine.publish('1')
    await machine.pass(600, () => machine.fleet.target('i-1').done.length > 0)
    const last = machine.fleet.target('i-99')
    await machine.pass(5)
    machine.fleet.stop(last.id)
    await machine.settle()
    const { outcome, phases, targets } = await machine.record(id)
    expect(outcome).toBe('done')
    expect(targets[last.id]?.prepare).toMatchObject({ outcome: 'gone' })
    expect(durationOf(phases.find(({ name }) => name === 'prepare'))).toBeLessThan(100)
  })

  it('no more prepare at once than may, and the last ones get their turn', async () => {
    const machine = await openMachine({
      targets: 120,
      policy: { bakeSeconds: 0, maxConcurrency: '6', prepareSeconds: 60 },
    })
    for (const target of machine.fleet.targets()) target.seconds.prepare = 50
    const { record } = await machine.rollOut('1')
    expect(record).toMatchObject({ outcome: 'done' })
    const ends = machine.fleet.targets().map(({ done }) => done[0]?.at)
    const atOnce = [...new Set(ends)].map((end) => ends.filter((other) => other === end).length)
    expect(Math.max(...atOnce)).toBe(6)
  })
})
