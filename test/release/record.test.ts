import { describe, expect, it } from 'vitest'
import { beginPhase, noteProgress, startRecord } from '../../lib/release/record.ts'
import type { Verdict } from '../../lib/release/verdict.ts'

const [BEGAN, LATER, LATEST] = [1, 2, 3].map((hour) => `2026-01-01T0${hour}:00:00Z`) as [
  string,
  string,
  string,
]
const asked = { id: 'r1', environment: 'staging', app: 'shop', requestedBy: 'test' }
const migrating = beginPhase(
  startRecord(asked, 'one', BEGAN),
  { name: 'migrate', action: 'migrate', targets: ['i-1'] },
  BEGAN,
)
const said = (outcome: Verdict['outcome']): Record<string, Verdict> => ({
  'i-1': { action: 'migrate', outcome, current: null, phases: {} },
})
const noted = (outcome: Verdict['outcome'], record = migrating, at = LATER) =>
  noteProgress(record, { phase: 'migrate', verdicts: said(outcome), ended: true }, at)

describe('noteProgress', () => {
  it('leaves a phase open while its migration runs, however often it is asked', () => {
    expect(noted('running').phases).toEqual([
      { name: 'migrate', action: 'migrate', startedAt: BEGAN, targets: ['i-1'], answered: 1 },
    ])
  })

  it('ends the phase, and keeps the last verdict of each target', () => {
    const { phases, targets } = noted('done', noted('running'), LATEST)
    expect(phases).toEqual([
      {
        name: 'migrate',
        action: 'migrate',
        startedAt: BEGAN,
        endedAt: LATEST,
        targets: ['i-1'],
        answered: 1,
      },
    ])
    expect(targets['i-1']?.migrate?.outcome).toBe('done')
  })
})
