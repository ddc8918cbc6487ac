import { ALL_QUIET, unreadable } from '../lib/release/alarms.ts'
import { orderTargets } from '../lib/release/fleet.ts'
import type { AppScope } from '../lib/release/keys.ts'
import { noTargets } from '../lib/release/reasons.ts'
import type { End } from '../lib/release/record.ts'
import { touchedTargets } from '../lib/release/recovery.ts'
import { type AboutRollout, aboutRollout } from '../lib/release/rollout-event.ts'
import type { Lock } from '../lib/release/state.ts'
import { reviveRelease } from './retire-releases.ts'
import type { Ground, RolloutEffects, RolloutInput } from './rollout-effects.ts'

export interface Refusal {
  outcome: End
  reason: string
}

export interface Claim {
  about: AboutRollout
  /** Why nothing is begun. */
  refusal?: Refusal | undefined
  /** A way back is not held up by the alarms that may be its reason. */
  watchesAlarms: boolean
  ground: Ground
  /** What the fleet served when the rollout began. */
  current: string | null
  lock: Lock
  /** Who can be told something; who failed last time first. */
  online: string[]
  /** Running instances whose agents say nothing. */
  silent: string[]
  /** Whom an engine that died has told to switch. */
  touchedBefore: string[]
}

/** Null when the lock is not this execution's (any more). */
export async function claimRollout(effects: RolloutEffects, input: RolloutInput): Promise<Claim | null> {
  const { token } = input
  const { lock, desired, current, failedTargets } = await effects.state()
  if (lock?.token !== token || !desired) return null
  const members = await effects.listFleet()
  const online = members.filter((member) => member.online).map(({ target }) => target)
  const offline = members.filter((member) => !member.online).map(({ target }) => target)
  const gone = await effects.listGone(offline)
  const record = await effects.readRecord()
  const watchesAlarms = !lock.isRollback && !lock.isRepair && !lock.recovery
  const refusal =
    (await refuse(effects, online.length, watchesAlarms)) ??
    // What a dead engine left goes back to what is current, or on to it.
    (lock.recovery ? undefined : await takeBack(effects, input, desired.release))
  const claim: Claim = {
    about: aboutRollout(record),
    refusal,
    watchesAlarms,
    ground: { desired, document: await effects.pinDocument() },
    current: current?.release ?? null,
    lock,
    online: orderTargets(online, failedTargets),
    silent: offline.filter((target) => !gone.includes(target)),
    touchedBefore: lock.recovery ? touchedTargets(record) : [],
  }
  // A rollout that goes on after its engine had died has begun before.
  if (!claim.refusal && !lock.recovery)
    await effects.tell({ ...claim.about, status: 'begun', targets: online.length + claim.silent.length })
  return claim
}

async function refuse(
  { policy, lookAtAlarms }: RolloutEffects,
  online: number,
  watchesAlarms: boolean,
): Promise<Refusal | undefined> {
  if (online === 0) return { outcome: 'failed', reason: noTargets(policy) }
  if (!watchesAlarms) return undefined
  const { ringing, unread } = await lookAtAlarms(ALL_QUIET)
  const trouble = ringing ?? (unread && unreadable(unread.why))
  if (!trouble) return undefined
  const wayOut = `Nothing was touched. Publish again once that is over, or go back: pybundle rollback --environment ${policy.environment}`
  return { outcome: 'refused', reason: `${trouble} ${wayOut}` }
}

async function takeBack(
  { store }: RolloutEffects,
  scope: AppScope,
  release: string,
): Promise<Refusal | undefined> {
  const reason = await reviveRelease(store, scope, release)
  return reason ? { outcome: 'refused', reason } : undefined
}
