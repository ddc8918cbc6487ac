import { describe, expect, it } from 'vitest'
import { type Kill, type Machine, openMachine } from './machine.ts'
import { sample } from './sample.ts'

/** Two targets, a migration and two waves: each kind of step there is, and no more looks than that takes. */
async function rolledOut(kill?: Kill) {
  const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 30 } })
  await machine.rollOut('first')
  const { release } = await machine.upload('second')
  machine.fleet.behave(release, { migrateSeconds: 5 })
  if (kill) machine.killAt(kill)
  else machine.countCheckpoints()
  const { id } = await machine.publish('second')
  await machine.settle()
  return { machine, checkpoints: machine.checkpoints, end: await endOf(machine, id) }
}

/** What the fleet and the bucket show when all is over, without times. */
async function endOf(machine: Machine, id: string) {
  const { outcome, reason, phases, targets } = await machine.record(id)
  const { lock, current, previous, desired } = await machine.state()
  return {
    record: {
      outcome,
      reason,
      phases: phases.map(({ name, targets: reached }) => ({ name, reached })),
      targets,
    },
    state: { lock, current, previous, desired },
    fleet: machine.fleet.targets().map(({ current: serves, done }) => ({
      serves,
      done: done.map(({ action, release, token, outcome: how }) => `${action} ${release} ${token} ${how}`),
    })),
    migrated: machine.fleet.database.map(({ release, target }) => `${release} on ${target}`),
  }
}

describe('a rollout whose process is killed', async () => {
  it('is the same rollout in the end, whichever checkpoint it was killed at, before or after that was stored', async () => {
    const undisturbed = await rolledOut()
    expect(undisturbed.end.record.outcome).toBe('done')
    expect(undisturbed.end.migrated).toHaveLength(1)
    const points = Array.from({ length: undisturbed.checkpoints }, (_, index) => index + 1)
    const kills = points.flatMap((checkpoint): Kill[] => [
      { checkpoint, when: 'before' },
      { checkpoint, when: 'after' },
    ])
    for (const kill of sample(kills)) {
      const killed = await rolledOut(kill)
      expect({ kill, ...killed.end }).toEqual({ kill, ...undisturbed.end })
    }
  }, 1_800_000)
})
