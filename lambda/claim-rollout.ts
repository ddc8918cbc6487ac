import { orderTargets } from '../lib/release/fleet.ts'
import { touchedTargets } from '../lib/release/recovery.ts'
import { type AboutRollout, aboutRollout } from '../lib/release/rollout-event.ts'
import type { Lock } from '../lib/release/state.ts'
import type { Ground, RolloutEffects, RolloutInput } from './rollout-effects.ts'

export interface Claim {
  about: AboutRollout
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
export async function claimRollout(effects: RolloutEffects, { token }: RolloutInput): Promise<Claim | null> {
  const { lock, desired, current, failedTargets } = await effects.state()
  if (lock?.token !== token || !desired) return null
  const members = await effects.listFleet()
  const online = members.filter((member) => member.online).map(({ target }) => target)
  const offline = members.filter((member) => !member.online).map(({ target }) => target)
  const gone = await effects.listGone(offline)
  const record = await effects.readRecord()
  const about = aboutRollout(record)
  if (!lock.recovery) await effects.tell({ ...about, status: 'begun', targets: members.length - gone.length })
  return {
    about,
    ground: { desired, document: await effects.pinDocument() },
    current: current?.release ?? null,
    lock,
    online: orderTargets(online, failedTargets),
    silent: offline.filter((target) => !gone.includes(target)),
    touchedBefore: lock.recovery ? touchedTargets(record) : [],
  }
}
