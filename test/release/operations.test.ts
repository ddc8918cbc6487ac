import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type FleetConfig, parseFleets } from '../../lib/config/fleets.ts'
import { executionSeconds, MOST_OPERATIONS, mostOperations, total } from '../../lib/release/operations.ts'

const seconds = fc.integer({ min: 30, max: 172_800 })
const growing = (count: number) => [...Array.from({ length: count - 1 }, (_, index) => index + 1), '100%']

/** Whatever the keys of fleets.toml that cost operations may be, each by itself. */
const keys = fc.record({
  waves: fc.integer({ min: 1, max: 40 }).map(growing),
  bake_seconds: fc.integer({ min: 0, max: 86_400 }),
  alarms: fc.constantFrom<string[]>([], ['shop-errors']),
  max_concurrency: fc.oneof(
    fc.integer({ min: 1, max: 5000 }),
    fc.integer({ min: 1, max: 100 }).map((percent) => `${percent}%`),
  ),
  prepare_seconds: seconds,
  migrate_seconds: seconds,
  activate_seconds: seconds,
})
type Keys = typeof keys extends fc.Arbitrary<infer T> ? T : never

function parse(content: Keys): FleetConfig | undefined {
  const lines = Object.entries(content).map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
  const others = ['tags = { app = "shop" }', 'user = "shop"', 'units = ["shop"]', 'health_seconds = 1']
  const toml = [
    '[environments.staging.shop]',
    ...others,
    'health_url = "http://127.0.0.1"',
    'signers = "off"',
    ...lines,
  ]
  return parseFleets(toml.join('\n'), 'fleets.toml')[0]
}

function parseOrRefuse(content: Keys): FleetConfig | string {
  try {
    return parse(content) ?? 'nothing'
  } catch (error) {
    return String(error)
  }
}

describe('the operations of a rollout', () => {
  it('are no more than a durable execution has, whatever policy is accepted', () => {
    const told = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(keys, (content) => {
        const read = parseOrRefuse(content)
        if (typeof read === 'string') {
          told.refused++
          expect(read).toContain('operations of a durable execution')
        } else {
          told.accepted++
          expect(total(mostOperations(read))).toBeLessThanOrEqual(MOST_OPERATIONS - 500)
        }
      }),
      { numRuns: 1000 },
    )
    expect(Math.min(...Object.values(told))).toBeGreaterThan(50)
  })

  it('leave room for two waves, however long everything takes', () => {
    const longest = {
      alarms: ['shop-errors'],
      prepare_seconds: 172_800,
      migrate_seconds: 172_800,
      activate_seconds: 172_800,
    }
    const read = parse({ ...longest, waves: growing(2), bake_seconds: 86_400, max_concurrency: 1 })
    expect(read?.waves).toHaveLength(2)
  })

  it('have the time for it: two days, or what the bakes take', () => {
    const times = {
      alarms: [],
      prepare_seconds: 900,
      migrate_seconds: 3600,
      activate_seconds: 120,
      max_concurrency: '50%',
    }
    const lasts = (bake_seconds: number) => {
      const read = parse({ ...times, waves: growing(4), bake_seconds })
      return read && executionSeconds(read)
    }
    expect(lasts(3600)).toBe(2 * 86_400)
    expect(lasts(86_400)).toBeGreaterThan(4 * 86_400)
  })
})
