import { afterAll, beforeAll, describe, it } from 'vitest'
import { eachStep, killAt, SEED } from './blows.ts'
import {
  activateScene,
  catchUpScene,
  migrateScene,
  prepareScene,
  pruneScene,
  revertScene,
  type Scene,
} from './scenes.ts'
import { stopApp } from './target.ts'
import { Workshop } from './workshop.ts'

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open('killed')
})
afterAll(() => workshop.close())

describe(`killed at any step (seed ${SEED})`, () => {
  it('prepare leaves what runs alone, and the next one makes what it would have made', () =>
    kill(prepareScene))
  it('activate serves one release or the other, and the next one finishes the work', () =>
    kill(activateScene))
  it('revert serves one release or the other, and the next one finishes the work', () => kill(revertScene))
  it('catch-up serves one release or the other, and the next one finishes the work', () => kill(catchUpScene))
  it('migrate runs the migration once', () => kill(migrateScene))
  it('prune takes away no more than it would have, and the next one the rest', () => kill(pruneScene))
})

async function kill(open: (workshop: Workshop) => Promise<Scene>): Promise<void> {
  const scene = await open(workshop)
  await eachStep(scene, async (step) => {
    await killAt(scene, step, step.number % 2 ? 'kill' : 'kill-group')
    scene.isSound()
    await scene.finish()
  })
  stopApp(scene.target)
}
