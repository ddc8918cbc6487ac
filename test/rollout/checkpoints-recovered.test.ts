import { it } from 'vitest'
import { bakeSecond, expectSameEndHoweverKilled } from './killed-stories.ts'

it('a recovery after a dead engine ends the same whichever checkpoint its process is killed at', () =>
  expectSameEndHoweverKilled({
    outcome: 'rolled-back',
    migrates: 1,
    begin: bakeSecond,
    act: async (machine, id) => {
      await machine.endEngine()
      return id
    },
  }))
