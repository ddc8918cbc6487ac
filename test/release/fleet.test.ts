import { describe, expect, it } from 'vitest'
import { planWaves } from '../../lib/release/fleet.ts'

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
