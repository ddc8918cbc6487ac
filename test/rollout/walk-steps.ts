import fc from 'fast-check'
import { expect } from 'vitest'
import type { Machine } from './machine.ts'

/** What a walk knows beside the machine. */
export interface Walk {
  machine: Machine
  /** Every release that was ever asked for. */
  releases: Set<string>
  /** Switched off for good. */
  terminated: Set<string>
  /** Had a fault of its own, and has not caught up since. */
  disturbed: Set<string>
}

/** One thing that somebody asks, that breaks, or that time does; its text is what a failed walk shows. */
export interface WalkStep {
  toString(): string
  take(walk: Walk): Promise<unknown>
}

const step = (text: string, take: WalkStep['take']): WalkStep => ({ toString: () => text, take })

async function publishRelease(
  { machine, releases }: Walk,
  text: string,
  behaviour: (typeof FLAWS)[keyof typeof FLAWS],
  wish: Record<string, unknown> = { action: 'deploy' },
): Promise<string> {
  const { release, ...artifacts } = await machine.clock.during(machine.upload(text))
  releases.add(release)
  machine.fleet.behave(release, behaviour)
  await machine.ask({ ...wish, ...artifacts })
  return release
}

const TARGETS = ['i-1', 'i-2', 'i-3']
const target = fc.constantFrom(...TARGETS)
const yesOrNo = fc.boolean()

const FLAWS = {
  sound: {},
  unhealthy: { unhealthy: true },
  migrating: { migrateSeconds: 1200 },
  'failing to migrate': { migrateSeconds: 1200, migrateFails: true },
}

const publish = fc
  .record({
    text: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    flaw: fc.constantFrom(...(Object.keys(FLAWS) as (keyof typeof FLAWS)[])),
    isPromoted: yesOrNo,
  })
  .map(({ text, flaw, isPromoted }) => {
    const name = `${text}, ${flaw}`
    const wish = isPromoted ? { action: 'promote', from: 'staging' } : { action: 'deploy' }
    return step(`${isPromoted ? 'promote' : 'publish'} ${name}`, (walk) =>
      publishRelease(walk, name, FLAWS[flaw], wish),
    )
  })

/** Rare by chance: a migration whose engine is dead, and the next release that wants to migrate. */
const collision = fc.constantFrom('FAILED', 'STOPPED').map((ended) =>
  step(`the engine ends as ${ended} in a migration, and another one is published`, async (walk) => {
    const { machine } = walk
    const migrations = machine.fleet.database.length
    await publishRelease(walk, 'the one, migrating', FLAWS.migrating)
    await machine.pass(120, () => machine.fleet.database.length > migrations)
    await machine.endEngine(ended)
    await publishRelease(walk, 'the other, migrating', FLAWS.migrating)
    await machine.pass(60)
  }),
)

/** Rare by chance, too: a fleet that is in between on purpose when its targets catch up. */
const stop = fc.constant(
  step('a release is cancelled in its first bake, and the targets catch up', async (walk) => {
    const { machine } = walk
    const release = await publishRelease(walk, 'half-way, sound', FLAWS.sound)
    const rollout = (await machine.state()).lock?.request
    await machine.pass(300, () => machine.fleet.targets().some(({ current }) => current === release))
    if (rollout) await machine.ask({ action: 'cancel', rollout, revert: false })
    await machine.pass(300, async () => (await machine.state()).lock === null)
    await catchUpUnlessStopped(walk)
  }),
)

const ask = (content: Record<string, unknown>) =>
  step(Object.values(content).join(' '), ({ machine }) => machine.ask(content))

const requests = fc.oneof(
  yesOrNo.map((acrossMigrations) => ask({ action: 'rollback', acrossMigrations })),
  yesOrNo.map((revert) =>
    step(`cancel${revert ? ' --revert' : ''}`, async ({ machine }) => {
      const rollout = (await machine.state()).lock?.request
      if (rollout) await machine.ask({ action: 'cancel', rollout, revert })
    }),
  ),
  fc.constantFrom(
    ask({ action: 'freeze', reason: 'a fair' }),
    ask({ action: 'unfreeze' }),
    ask({ action: 'repair' }),
    ask({ action: 'refresh' }),
  ),
)

const targetFaults = fc.oneof(
  target.map((id) => step(`${id} is stopped`, async (walk) => disturb(walk, id).stop(id))),
  target.map((id) => step(`${id} starts`, async (walk) => disturb(walk, id).start(id))),
  target.map((id) => step(`the agent of ${id} falls silent`, async (walk) => disturb(walk, id).silence(id))),
  fc.constantFrom(
    step('i-4 comes', async (walk) => {
      if (!isThere(walk.machine, 'i-4')) disturb(walk, 'i-4').add('i-4')
    }),
    step('i-4 is terminated', async ({ machine, terminated }) => {
      if (!isThere(machine, 'i-4') || terminated.has('i-4')) return
      machine.fleet.terminate('i-4')
      terminated.add('i-4')
    }),
  ),
  fc.tuple(target, fc.constantFrom('prepare', 'activate', 'revert'), yesOrNo).map(([id, action, isToFail]) =>
    step(`${action} ${isToFail ? 'fails' : 'works again'} on ${id}`, async (walk) => {
      const { fails } = disturb(walk, id).target(id)
      if (isToFail) fails[action] = 'its disk is full'
      else delete fails[action]
    }),
  ),
)

const engineFaults = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 12 }), fc.constantFrom('before', 'after'))
    .map(([checkpoint, when]) =>
      step(`the process is killed ${when} its checkpoint ${checkpoint}`, async ({ machine }) =>
        machine.killAt({ checkpoint, when }),
      ),
    ),
  fc
    .tuple(fc.constantFrom('FAILED', 'TIMED_OUT', 'STOPPED'), yesOrNo)
    .map(([ended, isEventLost]) =>
      step(`the engine ends as ${ended}${isEventLost ? ', unheard' : ''}`, ({ machine }) =>
        machine.endEngine(ended, { isEventLost }),
      ),
    ),
)

const serviceFaults = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('throttled', 'answer lost'))
    .map(([times, fault]) =>
      step(`SendCommand is ${fault} ${times} times`, async ({ machine }) => {
        let left = times
        machine.fleet.onCall((operation) => (operation === 'SendCommand' && left-- > 0 ? fault : undefined))
      }),
    ),
  fc.constantFrom('throttled', 'answer lost').map((fault) =>
    step(`a call of S3 is ${fault}`, async ({ machine }) => {
      let left = 1
      machine.onS3((method) => (method === 'PUT' && left-- > 0 ? fault : undefined))
    }),
  ),
)

const time = fc.oneof(
  fc
    .constantFrom(1, 5, 20, 60, 300, 3600)
    .map((seconds) => step(`${seconds} s pass`, ({ machine }) => machine.pass(seconds))),
  fc
    .integer({ min: 1, max: 20 })
    .map((times) =>
      step(`an event comes ${times} times at once`, ({ machine }) =>
        Promise.all(Array.from({ length: times }, () => machine.lookAgain())),
      ),
    ),
  fc.constant(step('the targets catch up', catchUpUnlessStopped)),
)

/** Mostly releases and time: a walk in which everything breaks at once goes nowhere. */
export const walkStep: fc.Arbitrary<WalkStep> = fc.oneof(
  { weight: 5, arbitrary: publish },
  { weight: 3, arbitrary: requests },
  { weight: 7, arbitrary: time },
  { weight: 3, arbitrary: targetFaults },
  { weight: 2, arbitrary: engineFaults },
  { weight: 1, arbitrary: serviceFaults },
  { weight: 1, arbitrary: collision },
  { weight: 1, arbitrary: stop },
)

/** What a stopped rollout has left as it is stays so. */
async function catchUpUnlessStopped(walk: Walk): Promise<void> {
  const { machine } = walk
  const { lock, inBetween } = await machine.state()
  const before = machine.fleet.targets().map(({ current }) => current)
  await catchUp(walk)
  if (lock || inBetween !== 'stopped') return
  const after = machine.fleet.targets().map(({ current }, at) => before[at] && current)
  expect(after, 'what is left as it is').toEqual(before)
}

/** As the association tells them to, every half hour. */
export async function catchUp({ machine, terminated }: Pick<Walk, 'machine' | 'terminated'>): Promise<void> {
  const told = { action: 'catch-up', release: '', token: 0, rollout: '' }
  for (const { id } of machine.fleet.targets()) {
    if (terminated.has(id) || !machine.fleet.isOn(id)) continue
    const work = machine.fleet.target(id).run(told)
    let isOver = false
    void work.finally(() => {
      isOver = true
    })
    await machine.pass(120, () => isOver)
  }
}

/** Whatever is broken is mended. */
export function mend({ machine, terminated }: Walk): void {
  machine.fleet.onCall(() => undefined)
  machine.onS3(() => undefined)
  machine.killAt(undefined)
  for (const { id, fails } of machine.fleet.targets()) {
    for (const action of Object.keys(fails)) delete fails[action]
    if (!terminated.has(id)) machine.fleet.start(id)
  }
}

function disturb({ machine, disturbed }: Walk, id: string): Machine['fleet'] {
  disturbed.add(id)
  return machine.fleet
}

function isThere(machine: Machine, id: string): boolean {
  return machine.fleet.targets().some((known) => known.id === id)
}
