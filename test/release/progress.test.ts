import { describe, expect, it } from 'vitest'
import { judgePhase, verdictsOf } from '../../lib/release/progress.ts'
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
    expect(judgePhase({ a: said('done'), b: said('failed') }, 1)).toEqual({ succeeded: ['a'] })
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
    expect(judgePhase({ a: said('running') }, 0)).toEqual({ succeeded: [] })
  })
})
