import { some } from './reasons.ts'

/** An alarm of CloudWatch, by its name, as it stands. */
export interface Alarm {
  name: string
  isRinging: boolean
  /** Why it stands so, in CloudWatch's words. */
  reason: string
}

/** What was seen of the operator's alarms up to now; carried from one look to the next. */
export interface AlarmWatch {
  /** Why a rollout may not go on. It stays, also where the alarm is quiet again. */
  ringing: string | null
  /** Since when they cannot be read, and why: nobody knows whether one rings. */
  unread: { since: string; why: string } | null
}

export const ALL_QUIET: AlarmWatch = { ringing: null, unread: null }

/** Alarms that cannot be read for so long are taken for one that rings. */
const LONGEST_UNREAD_SECONDS = 120
/** Between two tries, where nothing else is waited for. */
export const READ_AGAIN_SECONDS = 30
/** How many looks more there are at most where all else is over. */
export const MOST_LOOKS_MORE = Math.ceil(LONGEST_UNREAD_SECONDS / READ_AGAIN_SECONDS)

/** Who does not know whether an alarm rings does not go on. */
export function isUnsure({ ringing, unread }: AlarmWatch): boolean {
  return ringing === null && unread !== null
}

export function noteReading(names: readonly string[], alarms: readonly Alarm[]): AlarmWatch {
  const known = new Map(alarms.map((alarm) => [alarm.name, alarm]))
  const bad = names.flatMap((name) => {
    const alarm = known.get(name)
    if (!alarm) return [`Alarm "${name}" does not exist`]
    return alarm.isRinging ? [`Alarm "${name}" is in ALARM: ${alarm.reason.replace(/\.$/, '')}`] : []
  })
  return { ringing: bad.length > 0 ? `${some(bad, '; ')}.` : null, unread: null }
}

export function noteFailedReading({ unread }: AlarmWatch, why: string, now: string): AlarmWatch {
  const since = unread?.since ?? now
  const isTooLong = Date.parse(now) - Date.parse(since) >= LONGEST_UNREAD_SECONDS * 1000
  return { ringing: isTooLong ? unreadable(why) : null, unread: { since, why } }
}

export function unreadable(why: string): string {
  return `The alarms could not be read: ${why}.`
}
