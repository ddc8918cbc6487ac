import { it } from 'vitest'
import { expectSameEndHoweverKilled } from './killed-stories.ts'

it('a rollback ends the same whichever checkpoint its process is killed at', () =>
  expectSameEndHoweverKilled({
    outcome: 'done',
    migrates: 0,
    begin: (machine) => machine.rollOut('second'),
    act: (machine) => machine.ask({ action: 'rollback' }),
  }))
