import { z } from 'zod'

const seen = z.object({
  /** What it serves, in its own words; null: nothing; absent: it has never said. */
  release: z.string().nullable().optional(),
  /** When it said so. */
  at: z.iso.datetime().optional(),
  /** `silent`: it runs, and did not answer; `stopped`: or terminated, it catches up when it is back. */
  presence: z.enum(['online', 'silent', 'stopped']),
})
export type SeenTarget = z.infer<typeof seen>

/** `fleet.json`: what each target really serves, as of when. */
export const fleetReport = z.object({
  format: z.literal(1),
  /** When the fleet was asked. */
  asOf: z.iso.datetime(),
  targets: z.record(z.string(), seen),
  /** How many starts of the stack's functions have failed for good, in whatever environment, when they were last counted. */
  failedStarts: z.number().int().nonnegative().optional(),
})
export type FleetReport = z.infer<typeof fleetReport>

export interface FleetLook {
  asOf: string
  /** Who is of the fleet now. */
  members: readonly string[]
  /** What those that answered serve. */
  serves: Readonly<Record<string, string | null>>
  stopped: readonly string[]
  failedStarts?: number | undefined
}

/** Who did not answer keeps its last word, with its age; who is of the fleet no more is forgotten. */
export function reportFleet(known: FleetReport | undefined, look: FleetLook): FleetReport {
  const { asOf, members, serves } = look
  const stopped = new Set(look.stopped)
  const targets = members.map((target): [string, SeenTarget] => {
    const release = serves[target]
    if (release !== undefined) return [target, { release, at: asOf, presence: 'online' }]
    return [target, { ...known?.targets[target], presence: stopped.has(target) ? 'stopped' : 'silent' }]
  })
  // Not counted is not none.
  const failedStarts = look.failedStarts ?? known?.failedStarts
  const counted = failedStarts !== undefined && { failedStarts }
  return { format: 1, asOf, targets: Object.fromEntries(targets), ...counted }
}

/** Who is known to serve something else than it should. */
export function drifted({ targets }: Pick<FleetReport, 'targets'>, current: string | undefined): string[] {
  if (!current) return []
  return Object.entries(targets)
    .filter(([, { release, presence }]) => presence !== 'stopped' && release !== undefined)
    .filter(([, { release }]) => release !== current)
    .map(([target]) => target)
}
