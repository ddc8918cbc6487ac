import { type FleetPolicy, IDS_PER_CALL, paceOf } from './fleet.ts'
import { bakeLooks, looksWithin } from './progress.ts'

/** What a durable execution may have in all; a look and a try again are one, too. */
export const MOST_OPERATIONS = 3000
/** Set aside for steps and invocations that are tried again: hours of throttling. */
export const SPARE_OPERATIONS = 500

const MANY_TARGETS = 1_000_000

export type PolicyTimes = Pick<
  FleetPolicy,
  'waves' | 'bakeSeconds' | 'maxConcurrency' | 'prepareSeconds' | 'migrateSeconds' | 'activateSeconds'
>

/** How many waves fit. */
export function mostWaves(policy: PolicyTimes): number {
  const { waves, ...others } = mostOperations(policy)
  const left = MOST_OPERATIONS - SPARE_OPERATIONS - total(others)
  return Math.floor(left / (waves / policy.waves.length))
}

/** How many operations a rollout has by itself when each wait lasts as long as it may; how many of what. */
export function mostOperations(policy: PolicyTimes): Record<'prepare' | 'migrate' | 'waves' | 'end', number> {
  const { longestSeconds: longest } = paceOf(policy, 'activate', 1)
  const phase = phaseOperations(longest)
  return {
    // The execution itself, and claiming it.
    prepare: 2 + 2 * phaseOperations(longestPrepareSeconds(policy)),
    // Heeding a cancel, choosing a leader, beginning; and a migration of before has to end first.
    migrate: 3 + 2 * migrationOperations(policy.migrateSeconds, longest),
    waves: policy.waves.length * (1 + phase + bakeOperations(policy.bakeSeconds)),
    // Going back is two phases, where going on is one; a step before it, and the end.
    end: 2 + 2 * phase,
  }
}

/** In whatever fleet: how many turns they take depends on how many there are. */
function longestPrepareSeconds(policy: PolicyTimes): number {
  const sizes = [...Array.from({ length: IDS_PER_CALL }, (_, index) => index + 1), MANY_TARGETS]
  return Math.max(...sizes.map((size) => paceOf(policy, 'prepare', size).longestSeconds))
}

export const total = (operations: Record<string, number>) =>
  Object.values(operations).reduce((sum, count) => sum + count)

/** A step that sends, a watch with its looks, a step that judges. */
function phaseOperations(longestSeconds: number): number {
  return 3 + looksWithin(longestSeconds)
}

/** The look at its beginning counts as well. */
function bakeOperations(seconds: number): number {
  const looks = bakeLooks(seconds).length
  return looks === 0 ? 0 : 2 + looks
}

/**
 * Whoever migrates is asked again and again. Each pause and each look but the first of an asking takes a tenth
 * of the time that has passed, and brings on one asking at most: a phase with one look, and a pause.
 */
function migrationOperations(migrateSeconds: number, longestSeconds: number): number {
  const asking = phaseOperations(1) + 1
  const notes = 2
  return notes + asking * (1 + looksWithin(migrateSeconds)) + looksWithin(longestSeconds)
}
