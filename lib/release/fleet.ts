import { z } from 'zod'

/** A count is how many targets the wave takes; a percentage how much of the fleet is reached after it. */
export const waveSize = z.union([z.number().int().positive(), z.string().regex(/^([1-9]\d?|100)%$/)])
export type WaveSize = z.infer<typeof waveSize>

/** How many targets may fail: a count, or a percentage of the fleet, rounded down. */
export const failureLimit = z.union([z.number().int().nonnegative(), z.string().regex(/^(0|[1-9]\d?|100)%$/)])
export type FailureLimit = z.infer<typeof failureLimit>

export function allowedFailures(limit: FailureLimit, total: number): number {
  if (typeof limit === 'number') return limit
  return Math.floor((total * Number.parseInt(limit, 10)) / 100)
}

/** What becomes of a fleet when more targets fail to activate than may. */
export const ON_FAILURE = ['revert', 'stop'] as const

/** The operator's policy for one app in one environment, as the functions need it. */
export const fleetPolicy = z.object({
  environment: z.string(),
  app: z.string(),
  tags: z.record(z.string(), z.string()),
  waves: z.array(waveSize).nonempty(),
  bakeSeconds: z.number().int().nonnegative(),
  /** Of the preparing targets, as SendCommand takes it: "50%", "10". */
  maxConcurrency: z.string(),
  maxPrepareFailures: failureLimit,
  /** Over all waves together. */
  maxActivateFailures: failureLimit,
  onFailure: z.enum(ON_FAILURE),
  /** How long a target may take for each, in seconds. */
  prepareSeconds: z.number().int(),
  migrateSeconds: z.number().int(),
  activateSeconds: z.number().int(),
})
export type FleetPolicy = z.infer<typeof fleetPolicy>

/** How long a command may run on a target: the document has one step with one time-out for all actions. */
export function commandSeconds(policy: Pick<FleetPolicy, 'prepareSeconds' | 'activateSeconds'>): number {
  return Math.max(policy.prepareSeconds, policy.activateSeconds)
}

/** Splits the fleet into waves in the order given; whoever the sizes do not reach is in the last wave. */
export function planWaves(targets: readonly string[], sizes: readonly WaveSize[]): string[][] {
  const waves: string[][] = []
  let reached = 0
  for (const size of sizes) {
    const end = Math.min(endOfWave(size, reached, targets.length), targets.length)
    if (end > reached) waves.push(targets.slice(reached, end))
    reached = Math.max(reached, end)
  }
  if (reached < targets.length) waves.push(targets.slice(reached))
  return waves
}

function endOfWave(size: WaveSize, reached: number, total: number): number {
  if (typeof size === 'number') return reached + size
  return Math.ceil((total * Number.parseInt(size, 10)) / 100)
}

/** Who failed last time comes first: if it is still broken, that is known before others have switched. */
export function orderTargets(targets: readonly string[], failedLastTime: readonly string[]): string[] {
  const failed = new Set(failedLastTime)
  return [
    ...targets.filter((target) => failed.has(target)),
    ...targets.filter((target) => !failed.has(target)),
  ]
}
