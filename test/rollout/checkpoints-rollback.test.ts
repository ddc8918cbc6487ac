import { it } from 'vitest'
import { expectSameEndHoweverKilled } from './killed-stories.ts'

it('a rollback ends the same whichever checkpoint its process is killed at', () =>
  expectSameEndHoweverKilled({
    outcome: 'done',
    migrates: 0,
    begin: async (machine) => {
      machine.policy({ waves: ['100%'], bakeSeconds: 0 })
      const second = await machine.rollOut('second')
      machine.policy({ waves: [1, '100%'], bakeSeconds: 30 })
      return second
    },
    act: (machine) => machine.ask({ action: 'rollback' }),
  }))
