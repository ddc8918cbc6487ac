import { describe, expect, it } from 'vitest'
import { judgePhase, secondsToNextLook, verdictsOf, withSilent } from '../../lib/release/progress.ts'
import type { Verdict } from '../../lib/release/verdict.ts'

const said = (outcome: Verdict['outcome'], reason?: string): Verdict => ({
  action: 'activate',
  outcome,
  current: null,
  phases: {},
  ...(reason && { reason }),
})
const line = JSON.stringify(said('done'))

describe('verdictsOf', () => {
  it('reads the verdict even where the service has cut the output behind it', () => {
    const answers = [
      { target: 'i-1', status: 'Success', ended: true, output: `${line}\n---Output truncated---` },
    ]
    expect(verdictsOf('activate', answers)['i-1']?.outcome).toBe('done')
  })

  it('counts a target that ended without a verdict as failed, and says how it ended', () => {
    const answers = [{ target: 'i-1', status: 'DeliveryTimedOut', ended: true, output: '' }]
    expect(verdictsOf('activate', answers)['i-1']).toMatchObject({
      outcome: 'failed',
      reason: 'gave no verdict: DeliveryTimedOut',
    })
  })

  it('leaves out who has not ended', () => {
    expect(
      verdictsOf('activate', [{ target: 'i-1', status: 'InProgress', ended: false, output: line }]),
    ).toEqual({})
  })
})

describe('judgePhase', () => {
  it('tolerates as many failures as allowed', () => {
    const judged = judgePhase({ a: said('done'), b: said('refused') }, 1)
    expect(judged).toEqual({ succeeded: ['a'], unsettled: [] })
  })

  it('names each failed target with its reason', () => {
    const { failure } = judgePhase({ a: said('done'), b: said('failed', 'disk full') }, 0)
    expect(failure).toBe('1 of 2 failed. b: disk full')
  })

  it('fails when every target failed, however many may', () => {
    expect(judgePhase({ a: said('failed', 'disk full') }, 5).failure).toContain('1 of 1 failed')
  })

  it('counts a target that put its previous release back as failed', () => {
    expect(judgePhase({ a: said('reverted', 'unhealthy') }, 0).failure).toContain('a: unhealthy')
  })

  it('finds no failure in a migration that still runs', () => {
    expect(judgePhase({ a: said('running') }, 0)).toEqual({ succeeded: [], unsettled: [] })
  })

  it('does not count on what a target serves that failed without going back', () => {
    const verdicts = { a: said('reverted'), b: said('refused'), c: said('failed'), d: said('done') }
    expect(judgePhase(verdicts, 0).unsettled).toEqual(['c'])
  })
})

describe('withSilent', () => {
  it('counts who has not answered in time as failed', () => {
    const verdicts = withSilent({ a: said('done') }, 'activate', ['a', 'b'])
    expect(judgePhase(verdicts, 0)).toMatchObject({
      succeeded: ['a'],
      unsettled: ['b'],
      failure: '1 of 2 failed. b: has not answered in time',
    })
  })
})

describe('secondsToNextLook', () => {
  it('looks often at first, and leaves room in the 3,000 operations of an execution for two days', () => {
    const looks: number[] = []
    for (let waited = 0; waited < 2 * 86_400; waited += secondsToNextLook(waited)) looks.push(waited)
    expect(looks.slice(0, 3)).toEqual([0, 1, 2])
    expect(looks.length).toBeLessThan(120)
  })
})
