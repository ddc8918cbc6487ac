import { it } from 'vitest'
import { bakes, expectSameEndHoweverKilled, publishSecond } from './killed-stories.ts'

it('a recovery after a dead engine ends the same whichever checkpoint its process is killed at', () => {
  let dead = ''
  return expectSameEndHoweverKilled({
    outcome: 'rolled-back',
    migrates: 1,
    begin: async (machine) => {
      dead = (await publishSecond(machine)).id
      await bakes(machine, dead)
    },
    act: async (machine) => {
      await machine.endEngine()
      return dead
    },
  })
})
