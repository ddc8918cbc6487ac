import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../lib/release/record.ts'
import { EMPTY_STATE, endLock, failRelease, serveRelease, takeLock } from '../../lib/release/state.ts'

const release = (name: string) => ({ release: name, bundle: 'b'.repeat(64), code: 'c'.repeat(64) })
const running = takeLock(
  serveRelease(serveRelease(EMPTY_STATE, release('one')), release('two')),
  'r3',
  release('three'),
  { version: '1' },
)

describe('the end of a rollout', () => {
  const touched: [Outcome, 'stopped' | 'astray' | null][] = [
    ['done', null],
    ['rolled-back', null],
    ['stopped', 'stopped'],
    ['failed', 'astray'],
  ]
  it.each(touched)(
    'as %s, of one that has switched targets, leaves the fleet in between: %s',
    (outcome, expected) => {
      expect(endLock(running, outcome, true)).toMatchObject({ inBetween: expected, lock: null })
    },
  )

  it.each(['stopped', 'astray', null] as const)(
    'that has switched nobody leaves %s what it was',
    (inBetween) => {
      for (const outcome of ['failed', 'stopped', 'refused'] as const)
        expect(endLock({ ...running, inBetween }, outcome, false)).toMatchObject({ inBetween, lock: null })
    },
  )

  it('that found nothing to switch, as all targets serve its release, lifts what was', () => {
    expect(endLock({ ...running, inBetween: 'astray' }, 'done', false)).toMatchObject({
      inBetween: null,
      lock: null,
    })
  })
})

describe('a release that fails', () => {
  it('is marked, and stays so', () => {
    expect(failRelease(failRelease(running, 'three', true), 'four', false).failed).toEqual(['four', 'three'])
  })

  it('is not, where it was good before and nobody was switched to it, or where it is the current one', () => {
    expect(failRelease(running, 'one', false).failed).toEqual([])
    expect(failRelease(running, 'one', true).failed).toEqual(['one'])
    expect(failRelease(running, 'two', true).failed).toEqual([])
  })
})
