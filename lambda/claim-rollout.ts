import { orderTargets } from '../lib/release/fleet.ts'
import { touchedTargets } from '../lib/release/recovery.ts'
import type { Lock } from '../lib/release/state.ts'
import { reviveRelease } from './retire-releases.ts'
import type { Ground, RolloutEffects, RolloutInput } from './rollout-effects.ts'

export interface Claim {
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
  /** Why the release cannot be had any more. */
  expired?: string | undefined
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
  // What a dead engine left goes back to what is current, or on to it.
  const expired = lock.recovery ? undefined : await reviveRelease(effects.store, input, desired.release)
  return {
    ground: { desired, document: await effects.pinDocument() },
    current: current?.release ?? null,
    lock,
    online: orderTargets(online, failedTargets),
    silent: offline.filter((target) => !gone.includes(target)),
    ...(expired && { expired }),
    touchedBefore: lock.recovery ? touchedTargets(await effects.readRecord()) : [],
  }
}
