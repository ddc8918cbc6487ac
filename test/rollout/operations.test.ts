import { expect, it } from 'vitest'
import type { WaveSize } from '../../lib/release/fleet.ts'
import { mostOperations, mostWaves, total } from '../../lib/release/operations.ts'
import { countOperations } from '../../local/lambda/durable/execution.ts'
import { type Machine, openMachine } from './machine.ts'

const HOUR = 3600
const DAY = 24 * HOUR

/** `npm run test:proofs` takes the longest rollout there is, `npm test` a short one. */
const isWhole = process.env.PYBUNDLE_FLEET !== undefined

/** One in each wave never answers, and migrations take as long as they may. */
const SLOWEST = {
  bakeSeconds: isWhole ? DAY : 300,
  alarms: [] as string[],
  maxConcurrency: '1',
  maxPrepareFailures: 0,
  maxActivateFailures: '100%',
  prepareSeconds: 900,
  migrateSeconds: isWhole ? 4 * HOUR : 600,
  activateSeconds: 900,
} as const
const LONG_MIGRATION = { migrateSeconds: 0.95 * SLOWEST.migrateSeconds }

it('a rollout of as many waves as are accepted, each as long as it may be, has the operations for it', async () => {
  const count = isWhole ? mostWaves({ ...SLOWEST, waves: ['100%'] }) : 2
  const waves: [WaveSize, ...WaveSize[]] = [2, ...Array<WaveSize>(count - 2).fill(2), '100%']
  const machine = await openMachine({ targets: 2 * count, policy: { ...SLOWEST, waves } })
  machine.clock.haste = 20
  for (const [index, target] of machine.fleet.targets().entries()) {
    Object.assign(target.seconds, { prepare: 800, check: 800 })
    if (index % 2 === 1) target.seconds.activate = DAY
  }
  await leaveMigrating(machine)
  const { release } = await machine.upload('2')
  machine.fleet.behave(release, LONG_MIGRATION)
  const { record } = await machine.rollOut('2')

  const used = Math.max(...machine.executions().map(countOperations))
  const most = total(mostOperations({ ...SLOWEST, waves }))
  const days = (Date.parse(record.endedAt ?? '') - Date.parse(record.startedAt)) / DAY / 1000
  console.log(`${count} waves, ${days.toFixed(1)} days: ${used} operations, at most ${most} by calculation`)
  expect([record.outcome, record.reason ?? '']).toEqual(['done', expect.any(String)])
  expect(used).toBeLessThanOrEqual(most)
  expect(used).toBeGreaterThan(most * (isWhole ? 0.7 : 0.4))
}, 300_000)

/** Somebody else's migration, whose engine died: it has to end before another begins. */
async function leaveMigrating(machine: Machine): Promise<void> {
  const { release } = await machine.upload('1')
  machine.fleet.behave(release, LONG_MIGRATION)
  await machine.publish('1')
  await machine.pass(DAY, async () => (await machine.state()).migration?.hasBegun === true)
  await machine.endEngine()
}
