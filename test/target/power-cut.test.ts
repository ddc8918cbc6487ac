import { afterAll, beforeAll, describe, it } from 'vitest'
import { cutPowerAt, eachStep, SEED } from './blows.ts'
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
  workshop = await Workshop.open('power-cut')
})
afterAll(() => workshop.close())

describe(`a power cut at any step (seed ${SEED})`, () => {
  it('of prepare leaves what runs alone, and the next one makes it whole', () => cutPower(prepareScene))
  it('of activate leaves one release or the other, and the next one finishes the work', () =>
    cutPower(activateScene))
  it('of revert leaves one release or the other, and the next one finishes the work', () =>
    cutPower(revertScene))
  it('of catch-up leaves one release or the other, and the next one finishes the work', () =>
    cutPower(catchUpScene))
  it('of prune leaves all that it would have, and the next one takes away the rest', () =>
    cutPower(pruneScene))
  it('of migrate leaves a migration that is never run twice', () =>
    cutPower((workshop) => migrateScene(workshop, { survives: false })))
})

async function cutPower(open: (workshop: Workshop) => Promise<Scene>): Promise<void> {
  const scene = await open(workshop)
  await eachStep(scene, async (step) => {
    await cutPowerAt(scene, step)
    scene.isSound()
    await scene.finish()
  })
  stopApp(scene.target)
}
