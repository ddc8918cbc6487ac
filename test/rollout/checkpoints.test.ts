import { describe, expect, it } from 'vitest'
import { type Kill, type Machine, openMachine } from './machine.ts'
import { sample } from './sample.ts'

interface Story {
  outcome: string
  migrates: number
  /** What is wrong with the release. */
  spoil?(machine: Machine, release: string): void
}

/** Each kind of step there is, forwards and back. */
const STORIES: Record<string, Story> = {
  'that succeeds': { outcome: 'done', migrates: 1 },
  'that goes back': {
    outcome: 'rolled-back',
    migrates: 1,
    spoil: (machine, release) => machine.fleet.target('i-3').unhealthy.add(release),
  },
}

async function rolledOut({ spoil }: Story, kill?: Kill) {
  const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 30 } })
  await machine.rollOut('first')
  const { release } = await machine.upload('second')
  machine.fleet.behave(release, { migrateSeconds: 5 })
  spoil?.(machine, release)
  if (kill) machine.killAt(kill)
  else machine.countCheckpoints()
  const { id } = await machine.publish('second')
  await machine.settle()
  const end = await endOf(machine, id)
  await machine.close()
  return { checkpoints: machine.checkpoints, end }
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

describe.each(Object.entries(STORIES))('a rollout %s', (_, story) => {
  it('ends the same whichever checkpoint its process is killed at, before or after that is stored', async () => {
    const undisturbed = await rolledOut(story)
    expect(undisturbed.end.record.outcome).toBe(story.outcome)
    expect(undisturbed.end.migrated).toHaveLength(story.migrates)
    const points = Array.from({ length: undisturbed.checkpoints }, (_, index) => index + 1)
    const kills = points.flatMap((checkpoint): Kill[] => [
      { checkpoint, when: 'before' },
      { checkpoint, when: 'after' },
    ])
    for (const kill of sample(kills)) {
      const killed = await rolledOut(story, kill)
      expect({ kill, ...killed.end }).toEqual({ kill, ...undisturbed.end })
    }
  }, 1_800_000)
})
