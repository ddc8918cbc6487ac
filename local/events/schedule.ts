const UNITS: Record<string, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 }

/** The time between two runs of `rate(5 minutes)`. */
export function intervalMs(expression: string): number {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression) ?? []
  const milliseconds = UNITS[unit ?? '']
  if (count && milliseconds) return Number(count) * milliseconds
  throw new Error(
    `the local cloud does not know the schedule "${expression}": only rate(<number> minutes, hours or days)`,
  )
}
