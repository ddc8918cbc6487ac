import type { ObjectStore } from '../lib/aws/object-store.ts'
import { type AppScope, rolloutKey } from '../lib/release/keys.ts'
import { type RolloutRecord, rolloutRecord } from '../lib/release/record.ts'

export async function readRecord(store: ObjectStore, scope: AppScope, id: string): Promise<RolloutRecord> {
  return rolloutRecord.parse(await store.readJson(rolloutKey(scope, id)))
}

/** Changes `rollouts/<id>.json`; only the rollout that holds the lock writes it. */
export async function updateRecord(
  store: ObjectStore,
  scope: AppScope,
  id: string,
  change: (record: RolloutRecord, now: string) => RolloutRecord,
): Promise<RolloutRecord> {
  const key = rolloutKey(scope, id)
  const stored = await store.readText(key)
  if (!stored) throw new Error(`rollout record "${key}" is missing`)
  const changed = change(rolloutRecord.parse(JSON.parse(stored.body)), new Date().toISOString())
  if (await store.replace(key, JSON.stringify(changed, null, 1), stored.eTag)) return changed
  throw new Error(`rollout record "${key}" was changed by somebody else`)
}
