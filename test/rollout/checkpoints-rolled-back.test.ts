import { it } from 'vitest'
import { bakeSecond, expectSameEndHoweverKilled } from './killed-stories.ts'

it('a rollout that goes back ends the same whichever checkpoint its process is killed at', () =>
  expectSameEndHoweverKilled({
    outcome: 'rolled-back',
    migrates: 1,
    begin: async (machine) => {
      const { release } = await machine.upload('second')
      machine.fleet.target('i-3').unhealthy.add(release)
      return bakeSecond(machine)
    },
    act: async (_, id) => id,
  }))
