import { it } from 'vitest'
import { expectSameEndHoweverKilled, publishSecond } from './killed-stories.ts'

it('a rollout that succeeds ends the same whichever checkpoint its process is killed at', () =>
  expectSameEndHoweverKilled({
    outcome: 'done',
    migrates: 1,
    act: async (machine) => (await publishSecond(machine)).id,
  }))
