import { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import { readAlarms } from '../lib/aws/alarm-reader.ts'
import { type AlarmWatch, noteFailedReading, noteReading } from '../lib/release/alarms.ts'

/** Looks once more; never rejects. */
export type LookAtAlarms = (seen: AlarmWatch) => Promise<AlarmWatch>

/** Of who watches none. */
export const lookAway: LookAtAlarms = async (seen) => seen

const ANSWER_MILLISECONDS = 5000

export function lookAtAlarms(names: readonly string[]): LookAtAlarms {
  if (names.length === 0) return lookAway
  const client = new CloudWatchClient({
    maxAttempts: 4,
    requestHandler: { requestTimeout: ANSWER_MILLISECONDS, throwOnRequestTimeout: true },
  })
  return async (seen) => {
    // What has rung once is enough.
    if (seen.ringing) return seen
    try {
      return noteReading(names, await readAlarms(client, names))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return noteFailedReading(seen, why, new Date().toISOString())
    }
  }
}
