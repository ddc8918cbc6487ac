import type { FleetReport, SeenTarget } from '../release/fleet-report.ts'
import { drifted } from '../release/fleet-report.ts'
import type { RolloutRecord } from '../release/record.ts'
import { colorsOf } from './colors.ts'
import { plainTable } from './plain-table.ts'

const colors = colorsOf(process.stdout)

/** What each target serves, by its latest word: in `fleet.json`, or in a rollout since. */
export function latestWords(
  fleet: FleetReport | undefined,
  rollouts: readonly RolloutRecord[],
): Record<string, SeenTarget> {
  const targets: Record<string, SeenTarget> = { ...fleet?.targets }
  const oldestFirst = rollouts.toSorted((a, b) => a.startedAt.localeCompare(b.startedAt))
  for (const { targets: told, startedAt, endedAt = startedAt } of oldestFirst) {
    for (const [target, verdicts] of Object.entries(told)) {
      const last = Object.values(verdicts).at(-1)
      const known = targets[target]
      // Whom a look at the fleet did not find any more is of it no more.
      const isOver = fleet !== undefined && endedAt <= fleet.asOf
      if (!last || isOver || (known?.at && known.at >= endedAt)) continue
      // Who failed without saying what it serves may serve anything.
      const isUnknown = last.silent || (last.outcome === 'failed' && last.current === null)
      targets[target] = isUnknown
        ? { presence: last.outcome === 'gone' ? 'stopped' : 'silent' }
        : { release: last.current, at: endedAt, presence: 'online' }
    }
  }
  return targets
}

/** One line for each target; those that serve something else than the fleet should stand out. */
export function fleetTable(
  targets: Readonly<Record<string, SeenTarget>>,
  current: string | undefined,
  now: Date,
): string[] {
  const entries = Object.entries(targets).sort(([a], [b]) => a.localeCompare(b))
  if (entries.length === 0) return []
  const elsewhere = new Set(drifted({ targets }, current))
  const table = plainTable(['target', 'serves', 'said so', ''])
  for (const [target, { release, at, presence }] of entries) {
    const serves = release === undefined ? 'unknown' : (release ?? 'nothing')
    const isElsewhere = elsewhere.has(target)
    const notes = [isElsewhere ? 'differs' : '', presence === 'online' ? '' : presence]
    table.push([
      target,
      isElsewhere ? colors.red(serves) : serves,
      at ? ageOf(at, now) : '-',
      colors.yellow(notes.filter(Boolean).join(', ')),
    ])
  }
  const hint = `${elsewhere.size} of ${entries.length} differ: pybundle repair brings them to ${current}.`
  return ['', table.toString(), ...(elsewhere.size > 0 ? [colors.yellow(hint)] : [])]
}

const MINUTE = 60
const HOUR = 3600
const DAY = 86_400

export function ageOf(time: string, now: Date): string {
  const seconds = Math.max(0, Math.round((now.getTime() - Date.parse(time)) / 1000))
  if (seconds < 2 * MINUTE) return `${seconds} s ago`
  if (seconds < 2 * HOUR) return `${Math.floor(seconds / MINUTE)} min ago`
  return seconds < 2 * DAY ? `${Math.floor(seconds / HOUR)} h ago` : `${Math.floor(seconds / DAY)} days ago`
}
