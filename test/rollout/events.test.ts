import { describe, expect, it } from 'vitest'
import { EVENT_DETAIL_TYPE, EVENT_SOURCE, rolloutEvent } from '../../lib/release/rollout-event.ts'
import { type Machine, openMachine, SCOPE } from './machine.ts'

/** Each event that was really put, held against the schema; of one rollout. */
function told(machine: Machine, rollout: string) {
  const events = machine.busEvents.map(({ source, 'detail-type': type, detail }) => {
    expect([source, type]).toEqual([EVENT_SOURCE, EVENT_DETAIL_TYPE])
    return rolloutEvent.parse(detail)
  })
  return events.filter((event) => event.rollout === rollout)
}

const statuses = (machine: Machine, rollout: string) =>
  told(machine, rollout).map(({ status, wave }) => (wave ? `${status} ${wave}` : status))

describe('a rollout', () => {
  it('tells of each phase once, and what it is about', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 30 } })
    const { id, release } = await machine.rollOut('1')
    const about = { version: 1, ...SCOPE, rollout: id, action: 'deploy', requestedBy: 'test', release }
    expect(told(machine, id)).toEqual([
      { ...about, status: 'begun', targets: 3 },
      { ...about, status: 'prepared', targets: 3, failed: 0 },
      { ...about, status: 'migrated' },
      { ...about, status: 'wave-activated', wave: 1, targets: 1, failed: 0 },
      { ...about, status: 'wave-baked', wave: 1, targets: 1, failed: 0 },
      { ...about, status: 'wave-activated', wave: 2, targets: 2, failed: 0 },
      { ...about, status: 'wave-baked', wave: 2, targets: 2, failed: 0 },
      { ...about, status: 'done', outcome: 'done' },
    ])
  })

  it('tells how it ended, whoever ended it', async () => {
    const machine = await openMachine({ targets: 2, policy: { waves: [1, '100%'], bakeSeconds: 60 } })
    await machine.rollOut('1')
    const { release } = await machine.upload('ill')
    machine.fleet.behave(release, { unhealthy: true })
    const ill = await machine.rollOut('ill')
    expect(statuses(machine, ill.id)).toEqual(['begun', 'prepared', 'migrated', 'rolled-back'])
    expect(told(machine, ill.id).at(-1)).toMatchObject({ reason: ill.record.reason })

    const third = await machine.publish('3')
    await machine.pass(600, () => statuses(machine, third.id).includes('wave-activated 1'))
    const waiting = await machine.publish('4')
    const newest = await machine.publish('5')
    await machine.ask({ action: 'cancel', rollout: third.id, revert: true })
    await machine.settle()
    expect(told(machine, third.id).at(-1)).toMatchObject({ status: 'cancelled', outcome: 'rolled-back' })
    expect(statuses(machine, waiting.id)).toEqual(['superseded'])
    expect(statuses(machine, newest.id).at(-1)).toBe('done')

    const back = await machine.ask({ action: 'rollback' })
    await machine.settle()
    expect(statuses(machine, back)).toEqual([
      'begun',
      'prepared',
      'wave-activated 1',
      'wave-baked 1',
      'wave-activated 2',
      'wave-baked 2',
      'done',
    ])
    const refused = await machine.ask({ action: 'rollback' })
    expect(statuses(machine, refused)).toEqual(['refused'])
  })

  it('is told as failed when its engine has died for good', async () => {
    const machine = await openMachine({ targets: 2 })
    const { id } = await machine.publish('1')
    await machine.pass(600, () => statuses(machine, id).includes('begun'))
    await machine.endEngine('FAILED')
    await machine.settle()
    expect(statuses(machine, id)).toEqual(['begun', 'failed'])
  })
})

describe('an event', () => {
  it.each(['throttled', 'answer lost'] as const)('that is always %s disturbs no rollout', async (fault) => {
    const machine = await openMachine({ targets: 2, policy: { waves: ['100%'], bakeSeconds: 0 } })
    machine.clock.haste = 20
    machine.onEvents(() => fault)
    const { record } = await machine.rollOut('1')
    expect(record.outcome).toBe('done')
    // An answer that is lost is asked for again: the event has come more than once.
    const begun = machine.busEvents.filter(({ detail }) => detail.status === 'begun')
    expect(begun).toHaveLength(fault === 'throttled' ? 0 : 3)
  })
})
