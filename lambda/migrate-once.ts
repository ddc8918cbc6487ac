import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { releaseKey } from '../lib/release/keys.ts'
import {
  beginMigration,
  chooseLeader,
  endMigration,
  type MigrationEnd,
  noteBegun,
  noteUnclear,
  readMigration,
  unknownMigration,
} from '../lib/release/migration.ts'
import { secondsToNextAsking } from '../lib/release/progress.ts'
import { releaseRecord } from '../lib/release/release.ts'
import type { OpenMigration } from '../lib/release/state.ts'
import type { Verdict } from '../lib/release/verdict.ts'
import type { Ground, RolloutEffects, RolloutInput } from './rollout-effects.ts'

/** What a migration step works with. */
interface Scene {
  context: DurableContext
  effects: RolloutEffects
  input: RolloutInput
  ground: Ground
}

interface Failure {
  failure?: string
}

/**
 * Runs the migration once, detached on its leader; each command starts it or asks how it stands. `state.json`
 * says who migrates before the first command is sent, and until its leader has said that it ended.
 */
export async function migrateOnce(scene: Scene, prepared: readonly string[]): Promise<Failure> {
  const { context, effects, input, ground } = scene
  const choice = await context.step('choose leader', async () => {
    const state = await effects.state()
    const earlier = state.migration?.rollout === input.rollout ? null : state.migration
    return { ...chooseLeader(state, input, prepared), earlier }
  })
  if ('unknown' in choice) return { failure: choice.unknown }
  if (choice.earlier) {
    const { failure } = await endEarlier(scene, choice.earlier)
    if (failure) return { failure }
  }
  const own = await context.step('begin migration', async () => {
    const { release } = ground.desired
    const since = new Date().toISOString()
    const open = { rollout: input.rollout, release, leader: choice.leader, since }
    await effects.changeState((state) =>
      state.migration?.rollout === input.rollout ? state : beginMigration(state, open),
    )
    return open
  })
  return runMigration(scene, own, 'migrate')
}

/** Asked to migrate, a leader that knows nothing of it would begin: it is asked whether it does, where nobody noted that. */
async function endEarlier(scene: Scene, open: OpenMigration): Promise<Failure> {
  const { effects, ground, input } = scene
  if (!open.hasBegun) {
    const as = { rollout: open.rollout, release: open.release }
    const asking = {
      name: 'look for migration of before',
      targets: [open.leader],
      action: 'status' as const,
      as,
    }
    const { only } = await effects.run(ground, asking)
    if (!only || only.silent) return { failure: unknownMigration(open, input.environment) }
    if (!only.migration || only.migration === 'none') return {}
  }
  return runMigration(scene, { ...open, hasBegun: true }, 'migration of before')
}

/** Starts or follows a migration until its leader says that it has ended. One of before may have failed. */
async function runMigration(scene: Scene, open: OpenMigration, phase: string): Promise<Failure> {
  const { context, effects, ground, input } = scene
  const { migrateSeconds } = effects.policy
  const as = { rollout: open.rollout, release: open.release }
  let hasBegun = open.hasBegun ?? false
  let waited = 0
  for (let asked = 1; ; asked++) {
    const name = asked === 1 ? phase : `${phase}, asked ${asked} times`
    const asking = { name, phase, targets: [open.leader], action: 'migrate' as const, as }
    const askedAt = waited
    const { only, seconds } = await effects.run(ground, { ...asking, waitedSeconds: waited })
    const end = only ? readMigration(only, hasBegun) : 'unknown'
    waited += seconds
    if (only?.outcome === 'running' && !hasBegun) {
      await context.step('note that it runs', () =>
        effects.changeState((state) => noteBegun(state, open.rollout)),
      )
      hasBegun = true
    }
    if (end !== 'not over') {
      const settled = await context.step(`end of ${phase}`, () => settle(effects, input, open, only, end))
      // Of one of before, only that it is not known to have ended holds this one up.
      const isKnown = end !== 'interrupted' && end !== 'unknown'
      return isKnown && open.rollout !== input.rollout ? {} : settled
    }
    // What it said is as old as the question: it may have ended while the answer was waited for.
    if (askedAt >= migrateSeconds) return { failure: stillMigrating(open, effects.policy) }
    const pause = Math.max(1, Math.min(secondsToNextAsking(waited), migrateSeconds - waited))
    await context.wait(`wait for ${name}`, { seconds: pause })
    waited += pause
  }
}

async function settle(
  effects: RolloutEffects,
  { environment, token }: RolloutInput,
  open: OpenMigration,
  verdict: Verdict | undefined,
  end: MigrationEnd,
): Promise<Failure> {
  const { release } = open
  if (end === 'interrupted' || end === 'unknown') {
    await effects.changeState((state) => noteUnclear(state, open, end === 'interrupted'))
  }
  if (end === 'interrupted' || end === 'unknown') {
    const reason = verdict?.reason ? ` (${verdict.reason})` : ''
    return { failure: `${unknownMigration(open, environment)}${reason}` }
  }
  if (end === 'migrated') await markMigrated(effects, environment, open)
  // A migration that failed may have changed something all the same.
  const hasChanged = end === 'migrated' || end === 'failed'
  await effects.changeState((state) => endMigration(state, hasChanged ? { release, token } : undefined))
  if (verdict?.outcome === 'done') return {}
  const what = end === 'migrated' ? 'The migration ended, but not what follows it' : 'The migration failed'
  return { failure: `${what}: ${verdict?.reason}` }
}

async function markMigrated(
  { store, policy }: RolloutEffects,
  environment: string,
  { rollout, release }: OpenMigration,
): Promise<void> {
  const key = releaseKey({ environment, app: policy.app }, release)
  const stored = await store.readText(key)
  const record = stored && releaseRecord.parse(JSON.parse(stored.body))
  if (!record || record.migratedBy) return
  const marked = { ...record, migratedBy: rollout }
  if (await store.replace(key, JSON.stringify(marked, null, 1), stored.eTag)) return
  throw new Error(`release record "${key}" was changed by somebody else`)
}

function stillMigrating({ leader }: OpenMigration, { migrateSeconds }: RolloutEffects['policy']): string {
  return `The migration has not ended within ${migrateSeconds} s and still runs on ${leader}; nothing was activated. Publish again when it has ended.`
}
