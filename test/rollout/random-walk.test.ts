import fc from 'fast-check'
import { expect, it } from 'vitest'
import { idOfKey, rolloutsPrefix } from '../../lib/release/keys.ts'
import { openMachine, SCOPE } from './machine.ts'
import { catchUp, mend, type Walk, walkStep } from './walk-steps.ts'

/** `npm run test:proofs` takes ten walks of 30 steps; a failure prints the seed and the path that repeat it. */
const WALKS = Number(process.env.PYBUNDLE_WALKS ?? 1)
const STEPS = 30
const SEED = Number(process.env.PYBUNDLE_SEED ?? Date.now() % 1_000_000)

it('whatever is asked and breaks, no two rollouts overlap, no migration runs twice, and the fleet ends on one release', async () => {
  console.log(`${WALKS} walks of ${STEPS} steps: PYBUNDLE_SEED=${SEED}`)
  // A walk that fails gets shorter by steps that are left out.
  const steps = fc.array(fc.option(walkStep, { freq: 1000 }), { minLength: STEPS, maxLength: STEPS })
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 60 } })
      const { release } = await machine.rollOut('the first')
      const walk: Walk = {
        machine,
        releases: new Set([release]),
        terminated: new Set(),
        disturbed: new Set(),
      }
      try {
        for (const each of taken) {
          await each?.take(walk)
          expectNothingBroken(walk)
          await expectOneRelease(walk)
        }
        await expectConvergence(walk)
      } finally {
        await machine.close()
      }
    }),
    {
      seed: SEED,
      numRuns: WALKS,
      interruptAfterTimeLimit: 600_000,
      markInterruptAsFailure: true,
      ...(path && { path }),
    },
  )
}, 1_200_000)

const path = process.env.PYBUNDLE_PATH

function expectNothingBroken({ machine, releases }: Walk): void {
  const running = machine.executions().filter(({ status }) => status === 'RUNNING')
  expect(running.length, 'rollouts at once').toBeLessThan(2)
  for (const { id, current, prepared } of machine.fleet.targets()) {
    if (current === null) continue
    expect(releases, `what ${id} serves`).toContain(current)
    expect(prepared, `what is whole on ${id}`).toContain(current)
  }
  const { database } = machine.fleet
  expect(new Set(database.map(({ rollout }) => rollout)).size, 'migrations of a rollout').toBe(
    database.length,
  )
  for (const [index, { beganAt }] of database.entries()) {
    const earlier = database[index - 1]
    if (earlier)
      expect(earlier.endedAt ?? Infinity, 'the end of the migration before').toBeLessThanOrEqual(beganAt)
  }
}

/** When nobody is at work, those without a fault of their own are where the last rollout says that they are. */
async function expectOneRelease({ machine, terminated, disturbed }: Walk): Promise<void> {
  const { lock, current } = await machine.state()
  if (lock) return
  const keys = (await machine.store.list(rolloutsPrefix(SCOPE))).map(({ key }) => idOfKey(key))
  const records = await Promise.all(keys.map((id) => machine.record(id)))
  const [last] = records
    .filter(({ phases, endedAt }) => phases.length > 0 && endedAt)
    .sort((a, b) => String(b.endedAt).localeCompare(String(a.endedAt)))
  if (disturbed.size === 0) expect(last?.reason ?? '').not.toContain('Going back failed')
  if (last?.outcome !== 'done' && last?.outcome !== 'rolled-back') return
  for (const { id, current: serves } of machine.fleet.targets()) {
    if (!terminated.has(id) && !disturbed.has(id)) expect(serves, id).toBe(current?.release)
  }
}

/** Once faults have ended, without anything new being asked; where a person has to speak, it speaks. */
async function expectConvergence(walk: Walk): Promise<void> {
  const { machine, terminated } = walk
  mend(walk)
  // Agents that start again first tell what they had been doing; the schedule looks every five minutes.
  for (let look = 0; look < 3; look++) {
    await machine.pass(300)
    await machine.lookAgain()
    await machine.settle()
    expectNothingBroken(walk)
  }
  const { migration, lock, inBetween } = await machine.state()
  if (migration) await machine.ask({ action: 'confirm-migration', rollout: migration.rollout, ended: true })
  expect(lock, 'nobody is at work').toBeNull()
  // A rollout that stopped on purpose keeps the fleet as it is until somebody decides.
  if (inBetween === 'stopped') {
    const id = await machine.ask({ action: 'rollback', acrossMigrations: true })
    await machine.settle()
    expect((await machine.record(id)).outcome).toBe('done')
  }
  await catchUp(walk)
  const state = await machine.state()
  expect(state).toMatchObject({ lock: null, migration: null })
  const live = machine.fleet.targets().filter(({ id }) => !terminated.has(id))
  const served = Object.fromEntries(live.map(({ id, current }) => [id, current]))
  expect(served).toEqual(Object.fromEntries(live.map(({ id }) => [id, state.current?.release])))
}
