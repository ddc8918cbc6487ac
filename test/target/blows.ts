import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Scene } from './scenes.ts'
import { asOrdinaryUser, type TestTarget } from './target.ts'
import { thisPython } from './this-python.ts'

const TRACER = fileURLToPath(new URL('tracer.py', import.meta.url))
const POWER_LOSS = fileURLToPath(new URL('power_loss.py', import.meta.url))
/** Of each action; "all" is each step that there is. */
const SAMPLES = process.env.PYBUNDLE_KILLS === 'all' ? Infinity : Number(process.env.PYBUNDLE_KILLS ?? 2)
export const SEED = Number(process.env.PYBUNDLE_SEED ?? Date.now() % 1_000_000)
/** Only the step of this number. */
const ONLY = Number(process.env.PYBUNDLE_STEP ?? 0)

/** A step of an action: "3 os.rename wheels/…", the third of this name; and which of all steps it is. */
export interface Step {
  id: string
  number: number
}

export async function traced(target: TestTarget): Promise<TestTarget> {
  target.runAs((await thisPython()).executable, await asOrdinaryUser(), TRACER)
  return target
}

/** The scene's action, traced to its end. */
export async function stepsOf({ target, act }: Scene): Promise<string[]> {
  const file = join(target.root, 'steps')
  writeFileSync(file, '')
  target.environment.TRACE_STEPS = file
  const { verdict } = await target.run(...act())
  delete target.environment.TRACE_STEPS
  expect(verdict.outcome).toBe('done')
  const names = readFileSync(file, 'utf8').trim().split('\n')
  const counts = new Map<string, number>()
  return names.map((name) => {
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return `${count} ${name}`
  })
}

/** Plays the scene once for each of its steps, or for some of them. */
export async function eachStep(scene: Scene, work: (step: Step) => Promise<void>): Promise<void> {
  await scene.reset()
  const all = (await stepsOf(scene)).map((id, index) => ({ id, number: index + 1 }))
  const random = randomNumbers(SEED)
  const chosen = ONLY ? all.filter(({ number }) => number === ONLY) : [...all]
  while (chosen.length > SAMPLES) chosen.splice(Math.floor(random() * chosen.length), 1)
  console.info(`${scene.act()[0]}: ${chosen.length} of ${all.length} steps, PYBUNDLE_SEED=${SEED}`)
  for (const step of chosen) {
    const which = `at step ${step.number} of ${all.length}, "${step.id}"`
    await play(scene, step, work).catch((cause) => {
      throw new Error(`${which} (PYBUNDLE_SEED=${SEED}): ${cause.message}`, { cause })
    })
  }
}

async function play(scene: Scene, step: Step, work: (step: Step) => Promise<void>): Promise<void> {
  await scene.reset()
  await work(step)
}

/** The command alone, so that what it had started lives on; or its whole group, as the agent does at a time-out. */
export async function killAt(
  { target, act }: Scene,
  step: Step,
  whom: 'kill' | 'kill-group' | 'cut',
): Promise<void> {
  Object.assign(target.environment, { TRACE_AT: step.id, TRACE_THEN: whom })
  const child = target.start(...act())
  child.stdout.resume()
  child.stderr.resume()
  const signal = await new Promise((resolve) => child.on('exit', (_, by) => resolve(by)))
  delete target.environment.TRACE_AT
  delete target.environment.TRACE_THEN
  // It ends by itself only where a loop that waits for something took fewer turns than the traced one.
  if (signal !== 'SIGKILL') expect(step.id).not.toMatch(/^1 /)
}

export async function cutPowerAt(scene: Scene, step: Step): Promise<void> {
  const { target } = scene
  const durable = join(target.root, 'durable')
  target.environment.TRACE_DURABLE = durable
  await killAt(scene, step, 'cut')
  delete target.environment.TRACE_DURABLE
  const python = (await thisPython()).executable
  execFileSync(python, ['-I', POWER_LOSS, target.home, durable, `${SEED} ${step.number}`])
  rmSync(target.appPid, { force: true }) // nobody outlives a power cut, and its number may soon be another's
}

export async function fillDiskAt({ target, act }: Scene, step: Step) {
  Object.assign(target.environment, { TRACE_AT: step.id, TRACE_THEN: 'full' })
  const { verdict } = await target.run(...act())
  delete target.environment.TRACE_AT
  delete target.environment.TRACE_THEN
  return verdict
}

/** https://en.wikipedia.org/wiki/Linear_congruential_generator, the numbers of POSIX. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return state / 0x7fffffff
  }
}
