import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CloudTarget } from '../../local/cloud.ts'
import { askApp, eventually } from '../../local/demo/acceptance.ts'
import { startCloudProcess } from './cloud-process.ts'
import { fleetTable, letTimePass, type SlowTeam, slowTeam, tell } from './guestbook-fleet.ts'
import { expectServes, expectWhole, TargetDisk } from './on-disk.ts'

const STEPS = 30
const TARGETS = 3
const SEED = Number(process.env.PYBUNDLE_SEED ?? Date.now() % 1_000_000)
/** Longer than `health_seconds`. */
const TOO_SLOW = '12'

let cloud: Awaited<ReturnType<typeof startCloudProcess>>
let team: SlowTeam
let fleet: CloudTarget[]
/** Ids of those that are switched off. */
const off = new Set<string>()

beforeAll(async () => {
  team = await slowTeam({
    targets: TARGETS,
    fleets: fleetTable('staging', 'waves = [1, "100%"]\nbake_seconds = 2'),
    start: async (options) => {
      cloud = await startCloudProcess(options)
      return cloud
    },
  })
  fleet = team.fleet
  expect((await team.publish()).exitCode).toBe(0)
}, 240_000)
afterAll(() => team?.close())

const ask = (command: string, ...args: string[]) =>
  team.pybundle(command, '--environment', 'staging', ...args)

async function startAll(): Promise<void> {
  for (const target of fleet) if (off.has(target.instanceId)) letTimePass(team, target)
  fleet = await team.cloud.startFleet({ environment: 'staging', app: 'guestbook', count: TARGETS })
  off.clear()
}

const DEEDS: Record<string, () => Promise<unknown>> = {
  publish: async () => {
    await team.change()
    await team.publish('staging', '--detach')
  },
  'publish the same again': () => team.publish('staging', '--detach'),
  'roll back': () => ask('rollback', '--across-migrations', '--detach'),
  repair: () => ask('repair', '--detach'),
  cancel: () => ask('cancel'),
  'cancel --revert': () => ask('cancel', '--revert'),
  freeze: () => ask('freeze', '--reason', 'a fair'),
  unfreeze: () => ask('unfreeze'),
  'one is too slow to prove its health': async () => slow(TOO_SLOW),
  'none is slow any more': async () => slow('0'),
  'one is switched off': async () => {
    const target = fleet.find(({ instanceId }) => !off.has(instanceId))
    if (!target || off.size > 0) return
    off.add(target.instanceId)
    await cloud.stopTarget(target.instanceId)
  },
  'all are switched on': startAll,
  'the local cloud is killed, and starts again': async () => {
    await cloud.kill()
    await cloud.startAgain()
    // With the cloud its targets died, and start again with it.
    off.clear()
  },
  'one second passes': () => delay(1000),
  'six seconds pass': () => delay(6000),
}

async function slow(seconds: string): Promise<void> {
  const [, target] = fleet
  if (target && !off.has(target.instanceId)) tell(team, target, { START_PAUSE: seconds })
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('publish', 'six seconds pass', 'one second passes') },
  { weight: 4, arbitrary: fc.constantFrom(...Object.keys(DEEDS)) },
)

it('whatever is asked of real targets and breaks, each serves a whole release, and the fleet ends on one', async () => {
  console.log(`${STEPS} steps on ${TARGETS} targets: PYBUNDLE_SEED=${SEED}`)
  const steps = fc.array(step, { minLength: STEPS, maxLength: STEPS })
  const walk = fc.asyncProperty(steps, async (taken) => {
    for (const [index, name] of taken.entries()) {
      try {
        await DEEDS[name]?.()
        await expectNothingBroken()
      } catch (cause) {
        throw new Error(`step ${index + 1}, ${name}: ${(cause as Error).message}`, { cause })
      }
    }
    await expectConvergence()
  })
  // A shorter walk that fails as well would take as long to find as all the rest.
  await fc.assert(walk, { seed: SEED, numRuns: 1, endOnFailure: true })
}, 900_000)

async function expectNothingBroken(): Promise<void> {
  const records = await team.records()
  const asked = records.filter(({ phases }) => phases.length > 0)
  expect(asked.filter(({ outcome }) => outcome === 'running').length, 'rollouts at once').toBeLessThan(2)
  const migrated = asked.filter(({ phases }) => phases.some(({ name }) => name === 'migrate'))
  expect(team.migrations().length, 'migrations').toBeLessThanOrEqual(migrated.length)
  const known = new Set(asked.map(({ release }) => release))
  for (const target of fleet) {
    const disk = new TargetDisk(team, target)
    // What is looked at may be switched or pruned meanwhile.
    await eventually(`a whole release on ${target.instanceId}`, 10, async () => {
      expectWhole(disk, disk.current() ?? '')
      return true
    })
    const told = await askApp(target.url).catch(() => undefined)
    if (told) expect(known, target.instanceId).toContain(told.release)
  }
}

/** Once all faults have ended; where a person has to speak, it speaks. */
async function expectConvergence(): Promise<void> {
  await startAll()
  await slow('0')
  await ask('unfreeze')
  const state = await eventually('nobody is at work', 240, async () => {
    const known = await team.state()
    return known.lock === null ? known : undefined
  })
  if (state.migration) await ask('confirm-migration', '--rollout', state.migration.rollout, '--ended')
  if (state.inBetween === 'stopped') expect((await ask('rollback', '--across-migrations')).exitCode).toBe(0)
  const release = (await team.state()).current?.release ?? ''
  const elsewhere = (await Promise.all(fleet.map(({ url }) => askApp(url)))).filter(
    (told) => told.release !== release,
  )
  if (elsewhere.length > 0) expect((await ask('repair')).exitCode).toBe(0)
  await expectServes(team, fleet, release)
}
