import { rolloutKey } from '../../lib/release/keys.ts'
import {
  beginPhase,
  endRecord,
  noteProgress,
  type Outcome,
  type RolloutRecord,
  startRecord,
} from '../../lib/release/record.ts'
import type { Verdict } from '../../lib/release/verdict.ts'
import type { Bucket } from './bucket.ts'

export const SCOPE = { environment: 'staging', app: 'shop' }
const RELEASE = 'abcdefabcdef'

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 12, 0, second)).toISOString()

export function rollout(id: string, startsAt = 0): RolloutRecord {
  return startRecord({ ...SCOPE, id, requestedBy: 'ann@laptop' }, RELEASE, at(startsAt))
}

export function begun(record: RolloutRecord, name: string, targets: string[]): RolloutRecord {
  const action = name.startsWith('wave') ? 'activate' : 'prepare'
  return beginPhase(record, { name, action, targets }, at(1))
}

export function answered(
  record: RolloutRecord,
  phase: string,
  said: Record<string, Pick<Verdict, 'action' | 'outcome'> & Partial<Verdict>>,
): RolloutRecord {
  const verdicts = Object.entries(said).map(([target, verdict]) => [
    target,
    { current: null, phases: {}, ...verdict },
  ])
  return noteProgress(record, { phase, verdicts: Object.fromEntries(verdicts), ended: true }, at(3))
}

export function ended(record: RolloutRecord, outcome: Outcome, reason?: string): RolloutRecord {
  return endRecord(record, outcome, at(9), reason)
}

export async function store(bucket: Bucket, record: RolloutRecord): Promise<void> {
  const key = rolloutKey(SCOPE, record.id)
  await bucket.replace(key, JSON.stringify(record), (await bucket.readText(key))?.eTag)
}
