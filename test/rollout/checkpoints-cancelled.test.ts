import { it } from 'vitest'
import { bakeSecond, expectSameEndHoweverKilled } from './killed-stories.ts'

it('a rollout cancelled with --revert ends the same whichever checkpoint its process is killed at', () =>
  expectSameEndHoweverKilled({
    outcome: 'rolled-back',
    migrates: 1,
    begin: bakeSecond,
    act: async (machine, id) => {
      await machine.ask({ action: 'cancel', rollout: id, revert: true })
      return id
    },
  }))
