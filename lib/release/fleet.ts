import { z } from 'zod'
import type { Action } from './command.ts'

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
  /** Its targets take only what was signed with a key of the operator's `signers`. */
  isSigned: z.boolean(),
  /** Of the preparing targets, as SendCommand takes it: "50%", "10". */
  maxConcurrency: z.string(),
  maxPrepareFailures: failureLimit,
  /** Over all waves together. */
  maxActivateFailures: failureLimit,
  onFailure: z.enum(ON_FAILURE),
  /** Of CloudWatch: what rings during a wave or its bake makes the wave fail. */
  alarms: z.array(z.string()),
  /** On a target, and in the bucket. */
  keepReleases: z.number().int(),
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

/** A target that is online takes a command within seconds; one that does not within this time has failed. */
const DELIVERY_SECONDS = 90
/** What Run Command may take beyond its own time-outs until it says so. */
const GRACE_SECONDS = 120
const LONGEST_DELIVERY_SECONDS = 2_592_000
/** Run Command takes so many ids in a call. */
export const IDS_PER_CALL = 50

/** How a command goes through the targets of a phase. */
export interface Pace {
  /** As SendCommand takes it, of each call. */
  maxConcurrency: string
  deliverySeconds: number
  /** Whoever has not answered by then has failed. */
  longestSeconds: number
}

type PacedBy = Pick<FleetPolicy, 'maxConcurrency' | 'prepareSeconds' | 'activateSeconds'>

/** Preparing costs a target CPU and disk, and the bucket's endpoint its bandwidth; all else is told to all at once. */
export function paceOf(policy: PacedBy, action: Action, targets: number): Pace {
  const isLimited = action === 'prepare'
  const maxConcurrency = isLimited ? concurrencyOfCall(policy.maxConcurrency, targets) : '100%'
  // Who is queued behind the others of its call expires with the command: it lasts until the last one's turn.
  const queued = isLimited ? turnsOfCall(maxConcurrency, targets) * policy.prepareSeconds : 0
  // A check that is not heard touches nothing later on: it is waited for no longer than it may sensibly take.
  const running = action === 'check' ? policy.activateSeconds : commandSeconds(policy)
  const deliverySeconds = Math.min(LONGEST_DELIVERY_SECONDS, Math.max(DELIVERY_SECONDS, queued))
  return {
    maxConcurrency,
    deliverySeconds,
    longestSeconds: deliverySeconds + running + GRACE_SECONDS,
  }
}

/** A count is the whole fleet's, where Run Command takes it for each call; one of each call is the least. */
function concurrencyOfCall(limit: string, targets: number): string {
  if (limit.endsWith('%')) return limit
  return String(Math.max(1, Math.floor(Number(limit) / Math.ceil(targets / IDS_PER_CALL))))
}

function turnsOfCall(limit: string, targets: number): number {
  const ids = Math.min(targets, IDS_PER_CALL)
  const share = limit.endsWith('%') ? (ids * Number.parseInt(limit, 10)) / 100 : Number(limit)
  return Math.ceil(ids / Math.max(1, Math.floor(share)))
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
