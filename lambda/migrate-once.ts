import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { releaseKey } from '../lib/release/keys.ts'
import {
  beginMigration,
  chooseLeader,
  endMigration,
  type MigrationEnd,
  readMigration,
  unknownMigration,
} from '../lib/release/migration.ts'
import { secondsToNextLook } from '../lib/release/progress.ts'
import { releaseRecord } from '../lib/release/release.ts'
import type { Verdict } from '../lib/release/verdict.ts'
import type { Ground, RolloutEffects, RolloutInput } from './rollout-effects.ts'

/**
 * Runs the migration once, detached on its leader; each command starts it or asks how it stands. `state.json`
 * says who migrates before the first command is sent, and until its leader has said that it ended.
 */
export async function migrateOnce(
  context: DurableContext,
  effects: RolloutEffects,
  input: RolloutInput,
  ground: Ground,
  prepared: readonly string[],
): Promise<{ failure?: string }> {
  const choice = await context.step('begin migration', async () => {
    const chosen = chooseLeader(await effects.state(), input, prepared)
    if ('unknown' in chosen) return chosen
    const { release } = ground.desired
    const since = new Date().toISOString()
    const open = { rollout: input.rollout, release, leader: chosen.leader, since }
    await effects.changeState((state) =>
      state.migration?.rollout === input.rollout ? state : beginMigration(state, open),
    )
    return chosen
  })
  if ('unknown' in choice) return { failure: choice.unknown }
  const said = await untilItEnds(context, effects, ground, choice.leader)
  return context.step('end migration', () => settle(effects, input, ground, said))
}

interface LastWord {
  verdict: Verdict | undefined
  end: MigrationEnd
}

async function untilItEnds(
  context: DurableContext,
  effects: RolloutEffects,
  ground: Ground,
  leader: string,
): Promise<LastWord> {
  let waited = 0
  for (let asked = 1; ; asked++) {
    const name = asked === 1 ? 'migrate' : `migrate, asked ${asked} times`
    const options = { name, phase: 'migrate', targets: [leader], action: 'migrate' as const }
    const { only, seconds } = await effects.run(ground, options)
    const end = only ? readMigration(only) : 'unknown'
    waited += seconds
    if (end !== 'not over' || waited >= effects.policy.migrateSeconds) return { verdict: only, end }
    const pause = secondsToNextLook(waited)
    await context.wait(`wait for ${name}`, { seconds: pause })
    waited += pause
  }
}

async function settle(
  effects: RolloutEffects,
  { environment, token, rollout }: RolloutInput,
  { desired }: Ground,
  { verdict, end }: LastWord,
): Promise<{ failure?: string }> {
  const { release } = desired
  if (end === 'migrated') await markMigrated(effects, environment, rollout, release)
  if (end === 'migrated' || end === 'nothing to do' || end === 'failed') {
    // A migration that failed may have changed something all the same.
    const changed = end === 'nothing to do' ? undefined : { release, token }
    await effects.changeState((state) => endMigration(state, changed))
    return end === 'failed' ? { failure: `The migration failed: ${verdict?.reason}` } : {}
  }
  const { migration } = await effects.state()
  if (!migration) return { failure: `The migration was refused: ${verdict?.reason}` }
  if (end === 'interrupted') {
    await effects.changeState((state) => beginMigration(state, { ...migration, isInterrupted: true }))
  }
  if (end === 'not over') return { failure: stillMigrating(migration.leader, effects.policy.migrateSeconds) }
  const reason = verdict?.reason ? ` (${verdict.reason})` : ''
  return { failure: `${unknownMigration(migration, environment)}${reason}` }
}

async function markMigrated(
  { store, policy }: RolloutEffects,
  environment: string,
  rollout: string,
  release: string,
): Promise<void> {
  const key = releaseKey({ environment, app: policy.app }, release)
  const stored = await store.readText(key)
  const record = stored && releaseRecord.parse(JSON.parse(stored.body))
  if (!record || record.migratedBy) return
  await store.replace(key, JSON.stringify({ ...record, migratedBy: rollout }, null, 1), stored.eTag)
}

function stillMigrating(leader: string, seconds: number): string {
  return `The migration has not ended within ${seconds} s and still runs on ${leader}; nothing was activated. Publish again when it has ended.`
}
