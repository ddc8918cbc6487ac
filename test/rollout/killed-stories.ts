import { expect } from 'vitest'
import type { ServedRelease } from '../../lib/release/state.ts'
import { type Kill, type Machine, openMachine } from './machine.ts'
import { sample } from './sample.ts'

export interface Story {
  outcome: string
  migrates: number
  /** All that comes before the first kill; gives the request that it made. */
  begin?(machine: Machine): Promise<{ id: string }>
  /** From the first kill on; gives the request whose record is looked at. */
  act(machine: Machine, begun: string): Promise<string>
}

/** Kills the process of a story at each checkpoint there is, before and after that is stored. */
export async function expectSameEndHoweverKilled(story: Story): Promise<void> {
  const undisturbed = await told(story)
  expect(undisturbed.end.record.outcome).toBe(story.outcome)
  expect(undisturbed.end.migrated).toHaveLength(story.migrates)
  const points = Array.from({ length: undisturbed.checkpoints }, (_, index) => index + 1)
  const kills = points.flatMap((checkpoint): Kill[] => [
    { checkpoint, when: 'before' },
    { checkpoint, when: 'after' },
  ])
  for (const kill of sample(kills)) {
    const killed = await told(story, kill)
    expect({ kill, ...killed.end }).toEqual({ kill, ...undisturbed.end })
  }
}

async function told({ begin, act }: Story, kill?: Kill) {
  // What comes first is not what is tried: each wave and bake of it would cost time, as do looks at slow targets.
  const machine = await openMachine({ targets: 3, policy: { waves: ['100%'], bakeSeconds: 0 } })
  for (const { seconds } of machine.fleet.targets()) Object.assign(seconds, { prepare: 2, 'catch-up': 2 })
  await machine.rollOut('first')
  machine.policy({ waves: [1, '100%'], bakeSeconds: 30 })
  const { id: begun } = (await begin?.(machine)) ?? { id: '' }
  if (kill) machine.killAt(kill)
  else machine.countCheckpoints()
  const id = await act(machine, begun)
  await machine.settle()
  const end = await endOf(machine, id)
  await machine.close()
  return { checkpoints: machine.checkpoints, end }
}

/** What the fleet and the bucket show when all is over, without times. */
async function endOf(machine: Machine, id: string) {
  const { outcome, reason, phases, targets } = await machine.record(id)
  const { lock, ...state } = await machine.state()
  const [current, previous, desired] = [state.current, state.previous, state.desired].map(withoutRequest)
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

/** Whose id begins with the second in which it was asked. */
function withoutRequest(served: ServedRelease | null): Omit<ServedRelease, 'request'> | null {
  if (!served) return null
  const { request: _, ...release } = served
  return release
}

/** The second release, which migrates. */
export async function publishSecond(machine: Machine) {
  const { release } = await machine.upload('second')
  machine.fleet.behave(release, { migrateSeconds: 3 })
  return machine.publish('second')
}

/** Published, until its first wave has answered, and bakes. */
export async function bakeSecond(machine: Machine): Promise<{ id: string }> {
  const { id } = await publishSecond(machine)
  await machine.pass(600, async () => (await machine.record(id)).targets['i-1']?.activate !== undefined)
  return { id }
}
