import { MOST_LOOKS_MORE } from './alarms.ts'
import { type FleetPolicy, IDS_PER_CALL, paceOf } from './fleet.ts'
import { bakeLooks, looksWithin, secondsToNextAsking } from './progress.ts'

/** What a durable execution may have in all; a look and a try again are one, too. */
export const MOST_OPERATIONS = 3000
/** Set aside for steps and invocations that are tried again: hours of throttling. */
export const SPARE_OPERATIONS = 500

const MANY_TARGETS = 1_000_000

export type PolicyTimes = Pick<
  FleetPolicy,
  | 'waves'
  | 'bakeSeconds'
  | 'alarms'
  | 'maxConcurrency'
  | 'prepareSeconds'
  | 'migrateSeconds'
  | 'activateSeconds'
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
  const check = phaseOperations(paceOf(policy, 'check', 1).longestSeconds)
  // Alarms may be unreadable when all else that a watch waits for is over.
  const unread = policy.alarms.length > 0 ? 1 + MOST_LOOKS_MORE : 0
  return {
    // The execution itself, claiming it, and telling that all is prepared.
    prepare: 3 + 2 * phaseOperations(longestPrepareSeconds(policy)),
    // Heeding a cancel and alarms, choosing a leader, beginning, telling; and a migration of before is looked for, and has to end first.
    migrate: 4 + unread + phase + 2 * migrationOperations(policy.migrateSeconds, longest),
    // Heeding a cancel and alarms, and telling.
    waves:
      policy.waves.length * (2 + unread + phase + unread + bakeOperations(policy.bakeSeconds, check, unread)),
    // Going back is two phases, where going on is one; two steps before it, what is retired, and the end.
    end: 4 + 2 * phase,
  }
}

const TWO_DAYS = 172_800
const LONGEST_EXECUTION_SECONDS = 31_622_400

/** An execution that runs out of time leaves its fleet in between: it has what its rollout may take, and a fifth more. */
export function executionSeconds(policy: PolicyTimes): number {
  const { longestSeconds: phase } = paceOf(policy, 'activate', 1)
  const before = 2 * longestPrepareSeconds(policy) + 2 * (policy.migrateSeconds + phase)
  const bake = policy.bakeSeconds + (policy.bakeSeconds > 0 ? paceOf(policy, 'check', 1).longestSeconds : 0)
  const waves = policy.waves.length * (phase + bake)
  const longest = Math.ceil(1.2 * (before + waves + 2 * phase))
  return Math.min(LONGEST_EXECUTION_SECONDS, Math.max(TWO_DAYS, longest))
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

/** The look at its beginning counts as well; who baked is asked whether it is still healthy, and that is told. */
function bakeOperations(seconds: number, check: number, unread: number): number {
  const looks = bakeLooks(seconds).length
  return looks === 0 ? 0 : 3 + looks + check + 2 * unread
}

/**
 * Whoever migrates is asked again and again: a phase and a pause, the last time when its time is over. Who answers
 * at once, or at the second look, is asked most often, for the other looks of an asking take as long as its pause; the
 * last asking may take all the time it has.
 */
function migrationOperations(migrateSeconds: number, longestSeconds: number): number {
  const asking = phaseOperations(1) + 2
  const notes = 2
  let askings = 2
  for (let waited = 1; waited < migrateSeconds; waited += secondsToNextAsking(waited)) askings++
  return notes + asking * askings + looksWithin(longestSeconds)
}
