import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asOrdinaryUser, type TestTarget } from './target.ts'
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

  it('make what is shared once, the one that has the lock', async () => {
    const fresh = await workshop.newTarget()
    mkdirSync(fresh.path('state'), { recursive: true, mode: 0o700 })
    writeFileSync(fresh.path('state/lock'), '')
    const [command = 'flock', ...args] = [...(await asOrdinaryUser()), 'flock', fresh.path('state/lock')]
    const holder = spawn(command, [...args, '-c', 'echo locked; read end'])
    await once(holder.stdout, 'data')
    fresh.alterProgram('LOCK_SECONDS = 120', 'LOCK_SECONDS = 0')
    const { verdict } = await fresh.run('prune')
    expect(verdict.reason).toMatch(/^another command is at work/)
    expect(fresh.has('shared')).toBe(false)
    holder.stdin.end('\n')
    await once(holder, 'exit')
    await fresh.run('prune')
    expect(fresh.has('shared')).toBe(true)
  })
})
