import { it } from 'vitest'
import { bakes, expectSameEndHoweverKilled, publishSecond } from './killed-stories.ts'

it('a rollout cancelled with --revert ends the same whichever checkpoint its process is killed at', () =>
  expectSameEndHoweverKilled({
    outcome: 'rolled-back',
    migrates: 1,
    act: async (machine) => {
      const { id } = await publishSecond(machine)
      await bakes(machine, id)
      await machine.ask({ action: 'cancel', rollout: id, revert: true })
      return id
    },
  }))
