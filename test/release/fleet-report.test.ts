import { describe, expect, it } from 'vitest'
import { drifted, reportFleet } from '../../lib/release/fleet-report.ts'

const at = (minute: number) => `2026-03-01T12:${String(minute).padStart(2, '0')}:00.000Z`
const look = (minute: number, serves: Record<string, string | null>, more = {}) => ({
  asOf: at(minute),
  members: ['i-1', 'i-2', 'i-3'],
  serves,
  stopped: [],
  ...more,
})

describe('a look at a fleet', () => {
  it('keeps the last word of whoever does not answer, with its age', () => {
    const first = reportFleet(undefined, look(0, { 'i-1': 'one', 'i-2': 'one', 'i-3': null }))
    const then = reportFleet(first, look(5, { 'i-1': 'two' }, { stopped: ['i-3'] }))
    expect(then.targets).toEqual({
      'i-1': { release: 'two', at: at(5), presence: 'online' },
      'i-2': { release: 'one', at: at(0), presence: 'silent' },
      'i-3': { release: null, at: at(0), presence: 'stopped' },
    })
  })

  it('keeps the count of failed starts where they could not be counted: that is not none', () => {
    const counted = reportFleet(undefined, look(0, {}, { failedStarts: 2 }))
    expect(reportFleet(counted, look(5, {})).failedStarts).toBe(2)
    expect(reportFleet(counted, look(5, {}, { failedStarts: 0 })).failedStarts).toBe(0)
    expect(reportFleet(undefined, look(0, {})).failedStarts).toBeUndefined()
  })

  it('forgets who is of the fleet no more', () => {
    const first = reportFleet(undefined, look(0, { 'i-1': 'one', 'i-2': 'one', 'i-3': 'one' }))
    const then = reportFleet(first, look(5, { 'i-1': 'one' }, { members: ['i-1'] }))
    expect(Object.keys(then.targets)).toEqual(['i-1'])
  })

  it('knows who serves something else, and does not count who is stopped or was never heard', () => {
    const report = reportFleet(
      undefined,
      look(0, { 'i-1': 'one', 'i-2': 'two', 'i-4': null }, { members: ['i-1', 'i-2', 'i-3', 'i-4'] }),
    )
    expect(drifted(report, 'one')).toEqual(['i-2', 'i-4'])
    expect(drifted(reportFleet(report, look(5, {}, { stopped: ['i-2'] })), 'one')).toEqual([])
  })
})
