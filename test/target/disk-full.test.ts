import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eachStep, fillDiskAt, SEED, traced } from './blows.ts'
import { activateScene, catchUpScene, prepareScene, pruneScene, revertScene, type Scene } from './scenes.ts'
import { stopApp } from './target.ts'
import { Workshop } from './workshop.ts'

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open('disk-full')
})
afterAll(() => workshop.close())

describe(`a disk that is full from any step on (seed ${SEED})`, () => {
  it('is what prepare says, and the next one makes the same', () => fillDisk(prepareScene))
  it('is what activate says, and the next one finishes the work', () => fillDisk(activateScene))
  it('is what revert says, and the next one finishes the work', () => fillDisk(revertScene))
  it('is what catch-up says, and the next one finishes the work', () => fillDisk(catchUpScene))
  it('is what prune says, and the next one takes away the rest', () => fillDisk(pruneScene))
})

describe('a file system that takes no change at all', () => {
  it('is what prepare says', async () => {
    const target = await traced(await workshop.newTarget())
    target.environment.TRACE_READ_ONLY = 'yes'
    const { verdict } = await target.run('prepare', await workshop.publishApp())
    expect(verdict).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/Read-only file system/),
    })
  })
})

async function fillDisk(open: (workshop: Workshop) => Promise<Scene>): Promise<void> {
  const scene = await open(workshop)
  await eachStep(scene, async (step) => {
    const verdict = await fillDiskAt(scene, step)
    if (verdict.outcome !== 'done') {
      expect(['failed', 'reverted']).toContain(verdict.outcome)
      expect(verdict.reason).toMatch(/No space left|prepare_command failed|could not be/)
    }
    scene.isSound()
    await scene.finish()
  })
  stopApp(scene.target)
}
