import { describe, expect, it } from 'vitest'
import { openMachine } from './machine.ts'
import type { Fault } from './simulated-fleet.ts'

/** `npm run test:proofs` takes 2,400; fewer than 500 need no more tries than a step has. */
const SIZE = Number(process.env.PYBUNDLE_FLEET ?? 600)

/** Calls a second, and at once. AWS documents no rates for Run Command; these are less than anybody has seen. */
const RATES: Record<string, { perSecond: number; atOnce: number }> = {
  SendCommand: { perSecond: 1, atOnce: 1 },
  ListCommandInvocations: { perSecond: 3, atOnce: 3 },
}

/** A token bucket for each operation, as AWS throttles. */
function throttle() {
  const buckets = new Map<string, { tokens: number; at: number }>()
  const refused: Record<string, number> = {}
  return {
    refused,
    decide(operation: string): Fault {
      const rate = RATES[operation]
      if (!rate) return undefined
      const now = Date.now()
      const { tokens, at } = buckets.get(operation) ?? { tokens: rate.atOnce, at: now }
      const filled = Math.min(rate.atOnce, tokens + ((now - at) / 1000) * rate.perSecond)
      buckets.set(operation, { tokens: filled >= 1 ? filled - 1 : filled, at: now })
      if (filled >= 1) return undefined
      refused[operation] = (refused[operation] ?? 0) + 1
      return 'throttled'
    },
  }
}

describe('a service that throttles', () => {
  it('SendCommand and ListCommandInvocations delays a rollout, and does nothing else to it', async () => {
    const machine = await openMachine({ targets: SIZE, policy: { waves: [1, '100%'], bakeSeconds: 0 } })
    const { refused, decide } = throttle()
    machine.fleet.onCall(decide)
    machine.clock.haste = 20
    const { record, release } = await machine.rollOut('1')
    console.log(`calls that were throttled: ${JSON.stringify(refused)}`)
    expect(record).toMatchObject({ outcome: 'done' })
    expect(new Set(machine.fleet.targets().map(({ current }) => current))).toEqual(new Set([release]))
    expect(machine.fleet.targets().map(({ done }) => done.map(({ action }) => action).join())).toEqual([
      'prepare,migrate,activate',
      ...Array(SIZE - 1).fill('prepare,activate'),
    ])
    expect(refused.SendCommand).toBeGreaterThan(5)
  }, 180_000)
})
