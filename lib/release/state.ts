import { z } from 'zod'
import type { Outcome } from './record.ts'
import { digest, type ReleaseRecord } from './release.ts'

const servedRelease = z.object({
  release: z.string(),
  bundle: digest,
  code: digest,
  /** That brought it, and holds the statement that was signed for it. */
  request: z.string().optional(),
})
/** Enough for a target to catch up: the release, and what to hold it against. */
export type ServedRelease = z.infer<typeof servedRelease>

export function servedBy({ release, bundle, code }: ReleaseRecord, request?: string): ServedRelease {
  return { release, bundle: bundle.digest, code: code.digest, ...(request && { request }) }
}

const lock = z.object({
  /** Increases with every rollout and never restarts: fences commands and names the execution. */
  token: z.number().int(),
  request: z.string(),
  execution: z.string(),
  /** Of the function that runs it. */
  version: z.string(),
  /** A rollout to an earlier release migrates nothing. */
  isRollback: z.boolean().optional(),
  /** Nor does one of the current release, for those that serve something else. */
  isRepair: z.boolean().optional(),
  /** Asked for by a request while it runs; obeyed after the current wave. */
  cancel: z.object({ request: z.string(), by: z.string(), revert: z.boolean() }).optional(),
  /** It brings to an end what a dead engine left: the how-manyth try, and how that one ended. */
  recovery: z.object({ tries: z.number().int(), ended: z.string() }).optional(),
})
export type Lock = z.infer<typeof lock>

/** A migration that may be running on its leader: nobody has shown that it ended. */
const migration = z.object({
  rollout: z.string(),
  release: z.string(),
  leader: z.string(),
  since: z.iso.datetime(),
  /** The leader has said that it runs: asked again, it knows it, and does not start it. */
  hasBegun: z.boolean().optional(),
  /** Half-way, as the leader said, or it fell silent before it had said that it runs: a person has to look. */
  isInterrupted: z.boolean().optional(),
})
export type OpenMigration = z.infer<typeof migration>

const freeze = z.object({
  reason: z.string(),
  by: z.string(),
  until: z.iso.datetime().optional(),
})

/** `state.json`: what an environment's fleet of an app should run, and who is changing it. */
export const state = z.object({
  format: z.literal(1),
  token: z.number().int(),
  /** What was last asked for; dropped code takes its bundle, a dropped bundle takes its code. */
  desired: servedRelease.nullable(),
  /** What the fleet runs since the last rollout that succeeded; who joins late catches up to it. */
  current: servedRelease.nullable(),
  previous: servedRelease.nullable(),
  lock: lock.nullable(),
  /** What the whole fleet has served, the latest first, with the token of the rollout that brought it there. */
  good: z.array(servedRelease.extend({ token: z.number().int() })).default([]),
  /** Releases that failed or were rolled back from: never chosen by themselves. */
  failed: z.array(z.string()).default([]),
  /** Who failed in the last rollout is first in the next. */
  failedTargets: z.array(z.string()).default([]),
  migration: migration.nullable().default(null),
  /** Which rollouts changed the database, the latest first. */
  migrated: z.array(z.object({ release: z.string(), token: z.number().int() })).default([]),
  freeze: freeze.nullable().default(null),
  /** Releases whose artifacts are not retired, the last asked for first. */
  kept: z.array(z.string()).default([]),
  /**
   * Why targets may serve different releases: a stop, which catch-up leaves alone until somebody decides, or a way
   * back that did not succeed.
   */
  inBetween: z.enum(['stopped', 'astray']).nullable().default(null),
})
export type State = z.infer<typeof state>

/** How a durable execution stands, in Lambda's words. */
export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'STOPPED'

const KEPT_RELEASES = 20
const KEPT_FAILED = 50
/** Twice what an operator can keep: more only where tagging fails again and again. */
const KEPT_ARTIFACTS = 200

/** Takes the lock for a request; the token is the rollout's, higher than any before. */
export function takeLock(
  state: State,
  request: string,
  desired: ServedRelease,
  extra: Pick<Lock, 'version' | 'isRollback' | 'isRepair' | 'recovery'>,
): State {
  const token = state.token + 1
  const { release, bundle, code } = desired
  return {
    ...state,
    token,
    desired: { release, bundle, code, request },
    lock: { token, request, execution: executionName(token, request), ...extra },
    kept: [release, ...state.kept.filter((id) => id !== release)].slice(0, KEPT_ARTIFACTS),
  }
}

/** A name is used once, also for the same release again; the request id makes it unique among environments. */
function executionName(token: number, request: string): string {
  return `${token}-${request}`
}

/** The rollout has ended, or never began. Who told nobody to switch leaves the fleet as in between as it was. */
export function endLock(state: State, outcome: Outcome, hasTouched: boolean): State {
  return { ...state, lock: null, inBetween: inBetweenAfter(state, outcome, hasTouched) }
}

function inBetweenAfter(state: State, outcome: Outcome, hasTouched: boolean): State['inBetween'] {
  if (outcome === 'done') return null
  if (!hasTouched) return state.inBetween
  if (outcome === 'stopped') return 'stopped'
  return outcome === 'rolled-back' ? null : 'astray'
}

/** From now on the release is what the fleet runs, and what it ran before is what a rollback goes to. */
export function serveRelease(state: State, served: ServedRelease, token = state.token): State {
  const { release, bundle, code, request } = served
  const current = { release, bundle, code, ...(request && { request }) }
  const leaves = state.current && state.current.release !== release ? state.current.release : undefined
  const failed = state.failed.filter((id) => id !== release)
  const changed = {
    ...state,
    current,
    good: [{ ...current, token }, ...state.good.filter((known) => known.release !== release)].slice(
      0,
      KEPT_RELEASES,
    ),
    failed: state.lock?.isRollback && leaves ? markFailed(failed, leaves) : failed,
  }
  if (state.current?.release === release) return changed
  return { ...changed, previous: previousGood(changed) ?? state.current }
}

/** A release that was good before is not made bad by what kept it from being switched to. */
export function failRelease(state: State, release: string, hasTouched: boolean): State {
  const wasGood = state.good.some((known) => known.release === release)
  if (state.current?.release === release || (wasGood && !hasTouched)) return state
  return { ...state, failed: markFailed(state.failed, release) }
}

function markFailed(failed: readonly string[], release: string): string[] {
  return [release, ...failed.filter((id) => id !== release)].slice(0, KEPT_FAILED)
}

function previousGood({ good, failed, current }: State): ServedRelease | undefined {
  const found = good.find(({ release }) => release !== current?.release && !failed.includes(release))
  if (!found) return undefined
  const { token: _, ...served } = found
  return served
}

export const EMPTY_STATE: State = {
  format: 1,
  token: 0,
  desired: null,
  current: null,
  previous: null,
  lock: null,
  good: [],
  failed: [],
  failedTargets: [],
  migration: null,
  migrated: [],
  freeze: null,
  kept: [],
  inBetween: null,
}
