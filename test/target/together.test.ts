import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TestTarget } from './target.ts'
import { Workshop } from './workshop.ts'

const TIMES = process.env.PYBUNDLE_KILLS === 'all' ? 50 : 3

let workshop: Workshop
let target: TestTarget
beforeAll(async () => {
  workshop = await Workshop.open('together')
  target = await workshop.newServingTarget()
})
afterAll(() => workshop.close())

describe('two commands at once', () => {
  it('take turns: one does the work, the other finds it done', async () => {
    for (let time = 1; time <= TIMES; time++) {
      const release = await workshop.publishApp({ says: String(time) })
      target.holdLock(time)
      const asked = { token: time }
      const prepared = await Promise.all([1, 2].map(() => target.run('prepare', release, asked)))
      expect(prepared.map(({ verdict }) => verdict.reason).sort()).toEqual([
        'prepared',
        'was prepared already',
      ])
      const active = await Promise.all([1, 2].map(() => target.run('activate', release, asked)))
      expect(active.map(({ verdict }) => verdict.reason).sort()).toEqual(['active', 'was active already'])
    }
    expect(readdirSync(target.path('tmp'))).toEqual([])
  })

  it('and who has done its work, but has not said so yet, is not ended as a leftover of it', async () => {
    const slow = await workshop.newTarget()
    slow.alterProgram('      os.close(self.lock)\n', '      os.close(self.lock)\n      time.sleep(0.5)\n')
    const release = await workshop.publishApp({ says: 'slow' })
    const prepared = await Promise.all([1, 2].map(() => slow.run('prepare', release)))
    expect(prepared.map(({ exitCode }) => exitCode)).toEqual([0, 0])
  })
})
