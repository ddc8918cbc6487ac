import { describe, expect, it } from 'vitest'
import {
  bakeLooks,
  judgePhase,
  secondsToNextLook,
  verdictsOf,
  withGone,
  withSilent,
} from '../../lib/release/progress.ts'
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
    const judged = judgePhase({ a: said('done'), b: said('refused') }, { allowed: 1 })
    expect(judged).toMatchObject({ succeeded: ['a'], failed: ['b'] })
    expect(judged.failure).toBeUndefined()
  })

  it('names each failed target with its reason', () => {
    const { failure } = judgePhase({ a: said('done'), b: said('failed', 'disk full') }, { allowed: 0 })
    expect(failure).toBe('1 of 2 failed. b: disk full')
  })

  it('fails when every target failed, however many may', () => {
    expect(judgePhase({ a: said('failed', 'disk full') }, { allowed: 5 }).failure).toContain('1 of 1 failed')
  })

  it('counts a target that put its previous release back as failed', () => {
    expect(judgePhase({ a: said('reverted', 'unhealthy') }, { allowed: 0 }).failure).toContain('a: unhealthy')
  })

  it('finds no failure in a migration that still runs', () => {
    expect(judgePhase({ a: said('running') }, { allowed: 0 })).toMatchObject({ succeeded: [], failed: [] })
  })

  it('counts the failures of earlier phases with its own', () => {
    const verdicts = { a: said('done'), b: said('failed', 'disk full') }
    expect(judgePhase(verdicts, { allowed: 1, failedBefore: 1, total: 9 }).failure).toContain('2 of 9 failed')
  })

  it('does not take a silent target to serve anything', () => {
    const verdicts = withSilent({ a: { ...said('done'), current: 'one' } }, 'activate', ['a', 'b'])
    expect(judgePhase(verdicts, { allowed: 1 }).serves).toEqual({ a: 'one' })
  })
})

describe('withSilent', () => {
  it('counts who has not answered in time as failed', () => {
    const verdicts = withSilent({ a: said('done') }, 'activate', ['a', 'b'])
    expect(judgePhase(verdicts, { allowed: 0 })).toMatchObject({
      succeeded: ['a'],
      failed: ['b'],
      failure: '1 of 2 failed. b: has not answered in time',
    })
  })
})

describe('withGone', () => {
  it('takes who is stopped or terminated out of the failures, unless it has said how it went', () => {
    const verdicts = withSilent({ a: said('failed', 'disk full') }, 'prepare', ['a', 'b', 'c'])
    expect(judgePhase(withGone(verdicts, ['a', 'b']), { allowed: 0 })).toMatchObject({
      failed: ['c', 'a'].sort(),
      gone: ['b'],
    })
  })
})

describe('bakeLooks', () => {
  it('looks at most a hundred times, none of them sooner than half a minute, and bakes as long as it was told', () => {
    for (const seconds of [0, 20, 30, 95, 3600, 86_400]) {
      const looks = bakeLooks(seconds)
      expect(looks.length).toBeLessThanOrEqual(101)
      expect(looks.reduce((sum, each) => sum + each, 0)).toBe(seconds)
      expect(looks.slice(0, -1).every((each) => each >= 30)).toBe(true)
    }
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
