import type { ObjectStore } from '../lib/aws/object-store.ts'
import type { RolloutEngine } from '../lib/aws/rollout-engine.ts'
import type { RolloutEvents } from '../lib/aws/rollout-events.ts'
import { type AppScope, rolloutKey } from '../lib/release/keys.ts'
import { endRecord, rolloutRecord } from '../lib/release/record.ts'
import { decideRecovery, touchedTargets } from '../lib/release/recovery.ts'
import { aboutRollout, endEvent } from '../lib/release/rollout-event.ts'
import { type ExecutionStatus, endLock, type Lock, takeLock } from '../lib/release/state.ts'
import type { Log } from './function-log.ts'
import { type StoredState, writeState } from './state-store.ts'

export interface FreeingClients {
  store: ObjectStore
  engine: RolloutEngine
  events: RolloutEvents
  log: Log
}

/** Frees the lock of a dead engine; where targets may differ, a new execution brings them together first. */
export async function freeLock(
  { store, engine, events, log }: FreeingClients,
  scope: AppScope,
  stored: StoredState,
  lock: Lock,
  ended: ExecutionStatus,
): Promise<void> {
  const key = rolloutKey(scope, lock.request)
  const text = await store.readText(key)
  const record = text && rolloutRecord.parse(JSON.parse(text.body))
  const recovery = decideRecovery(lock, ended, record || undefined)
  if (recovery.do === 'bring together' && stored.state.desired) {
    const extra = {
      version: await engine.version(),
      recovery: { tries: recovery.tries, ended },
      ...(lock.isRollback && { isRollback: true }),
      ...(lock.isRepair && { isRepair: true }),
    }
    const state = takeLock(stored.state, lock.request, stored.state.desired, extra)
    await writeState(store, scope, { ...stored, state })
    return
  }
  if (record?.outcome === 'running' && recovery.do === 'close') {
    const failed = endRecord(record, 'failed', new Date().toISOString(), recovery.reason)
    // A last step of the dead execution may have written meanwhile: the next look closes what that left.
    if (!(await store.replace(key, JSON.stringify(failed, null, 1), text?.eTag))) return
    log.warn('The record of a dead engine was closed.', { rollout: lock.request, reason: recovery.reason })
    await events.tell(endEvent(aboutRollout(failed), 'failed', failed))
  }
  // A record that had ended already says how: its execution died before the state did.
  const outcome = !record || record.outcome === 'running' ? 'failed' : record.outcome
  const hasTouched = record ? touchedTargets(record).length > 0 : false
  await writeState(store, scope, { ...stored, state: endLock(stored.state, outcome, hasTouched) })
}
