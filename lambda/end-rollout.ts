import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { migratedSince } from '../lib/release/migration.ts'
import { toleratedFailures } from '../lib/release/reasons.ts'
import { type End, endRecord } from '../lib/release/record.ts'
import { noteRetirement } from '../lib/release/retention.ts'
import { endEvent } from '../lib/release/rollout-event.ts'
import { endLock, failRelease, type Lock } from '../lib/release/state.ts'
import type { Tally } from '../lib/release/tally.ts'
import { bringBack } from './bring-back.ts'
import type { Claim } from './claim-rollout.ts'
import type { RolloutEffects } from './rollout-effects.ts'

/** A rollout, and what it has come to. */
export interface Ending {
  context: DurableContext
  effects: RolloutEffects
  claim: Claim
  tally: Tally
}

/** Why a rollout does not go on, and what becomes of the fleet. */
export interface Halt {
  reason: string
  fleet: 'revert' | 'stop'
  /** By request, not because something failed. */
  isAsked: boolean
}

interface Why {
  reason?: string | undefined
  /** By request. */
  isAsked?: boolean
  /** The release has not shown that it is bad: it may come again. */
  isNobodysFault?: boolean
}

export function haltFor(cancel: Lock['cancel'] | null): Halt | undefined {
  if (!cancel) return undefined
  return { reason: `Cancelled by ${cancel.by}.`, fleet: cancel.revert ? 'revert' : 'stop', isAsked: true }
}

export async function haltRollout(ending: Ending, { reason, fleet, isAsked }: Halt): Promise<void> {
  const { touched, serves } = ending.tally
  if (touched.size === 0) {
    const why = { reason: `${reason} Nothing was activated.`, isAsked, isNobodysFault: true }
    return endRollout(ending, isAsked ? 'stopped' : 'failed', why)
  }
  if (fleet === 'stop')
    return endRollout(ending, 'stopped', { reason: `${reason} Each target stays as it is.`, isAsked })
  return comeBack(ending, [...serves.keys()], { reason, isAsked })
}

/** Finishes or undoes what an engine that died has left half-way. */
export async function recoverRollout(ending: Ending): Promise<void> {
  const { claim, tally } = ending
  const { online, lock } = claim
  // Who was not told to switch serves something else, or nothing.
  for (const target of online) tally.serves.set(target, null)
  return comeBack(ending, online, { reason: `The engine ended as ${lock.recovery?.ended} in mid-rollout.` })
}

/** The whole fleet on the release that it had; where that is the same one, on it. */
async function comeBack(ending: Ending, others: readonly string[], { reason, isAsked }: Why): Promise<void> {
  const { context, effects, claim, tally } = ending
  const { ground, current } = claim
  const astray = await bringBack(effects, ground, current, { tally, others })
  if (current === ground.desired.release) {
    const rest = astray ?? 'The rest was done since'
    return endRollout(ending, astray ? 'failed' : 'done', { reason: `${reason} ${rest}.`, isAsked })
  }
  const migrated = await context.step('look for migration', async () =>
    migratedSince(await effects.state(), current),
  )
  const database = migrated ? ` The database stays migrated to ${migrated}.` : ''
  const failure = astray ? ` Going back failed too: ${astray}.` : ''
  const outcome = astray || !current ? 'failed' : 'rolled-back'
  return endRollout(ending, outcome, { reason: `${reason}${failure}${database}`, isAsked })
}

/** Record, state and event, in this order: what the record says has ended is freed by whoever looks next. */
export async function endRollout(
  { context, effects, claim, tally }: Ending,
  outcome: End,
  { reason, isAsked, isNobodysFault }: Why = {},
): Promise<void> {
  const { about, ground, lock } = claim
  const failed = [...tally.failed]
  const hasTouched = tally.touched.size > 0
  const isFailure = outcome !== 'done' && !isAsked && !isNobodysFault && !lock.recovery
  context.logger.info('The rollout ends.', { outcome, reason, failed })
  const tolerated = outcome === 'done' && failed.length > 0 ? toleratedFailures(failed) : undefined
  const told = reason ?? tolerated
  const retirement = await context.step('retire', () => effects.retire())
  await context.step('end', async () => {
    await effects.record((known, now) => endRecord(known, outcome, now, told))
    await effects.changeState((state) => {
      const known = isFailure ? failRelease(state, ground.desired.release, hasTouched) : state
      const kept = noteRetirement(known, retirement)
      return endLock({ ...kept, failedTargets: failed }, outcome, hasTouched)
    })
    await effects.tell(endEvent(about, outcome, { reason: told, isAsked }))
  })
}
