import { describe, expect, it } from 'vitest'
import { paceOf, planWaves } from '../../lib/release/fleet.ts'

const five = ['a', 'b', 'c', 'd', 'e']

describe('planWaves', () => {
  it('takes counts as the size of a wave and the last percentage as the rest', () => {
    expect(planWaves(five, [1, 2, '100%'])).toEqual([['a'], ['b', 'c'], ['d', 'e']])
  })

  it('takes a percentage as how much of the fleet is reached, rounded up', () => {
    expect(planWaves(five, ['10%', '50%', '100%'])).toEqual([['a'], ['b', 'c'], ['d', 'e']])
  })

  it('leaves out waves that reach nobody new', () => {
    expect(planWaves(five, [3, '10%', '100%'])).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ])
  })

  it('puts whom the sizes do not reach into a last wave', () => {
    expect(planWaves(five, [1])).toEqual([['a'], ['b', 'c', 'd', 'e']])
  })

  it('has one wave for a fleet of one', () => {
    expect(planWaves(['a'], [1, 2, '100%'])).toEqual([['a']])
  })
})

describe('paceOf', () => {
  const policy = { maxConcurrency: '50%', prepareSeconds: 900, activateSeconds: 120 }

  it.each([
    ['10', 5, '10', 900],
    ['10', 100, '5', 9000],
    ['10', 2400, '1', 45_000],
    ['480', 2400, '10', 4500],
    ['50%', 2400, '50%', 1800],
    ['10%', 2400, '10%', 9000],
    ['10%', 5, '10%', 4500],
    ['100%', 2400, '100%', 900],
  ])(
    'lets %s of a fleet prepare at once: of %i targets %s of each call, until the last one had its time',
    (maxConcurrency, targets, ofCall, deliverySeconds) => {
      expect(paceOf({ ...policy, maxConcurrency }, 'prepare', targets)).toMatchObject({
        maxConcurrency: ofCall,
        deliverySeconds,
      })
    },
  )

  it('tells everything else to all at once', () => {
    expect(paceOf(policy, 'activate', 2400)).toEqual({
      maxConcurrency: '100%',
      deliverySeconds: 90,
      longestSeconds: 90 + 900 + 120,
    })
  })
})
