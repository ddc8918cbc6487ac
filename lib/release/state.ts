import { z } from 'zod'
import { digest } from './release.ts'

const servedRelease = z.object({ release: z.string(), bundle: digest, code: digest })
/** Enough for a target to catch up: the release and the digests to hold it against. */
export type ServedRelease = z.infer<typeof servedRelease>

const lock = z.object({
  /** Increases with every rollout and never restarts: fences commands and names the execution. */
  token: z.number().int(),
  request: z.string(),
  execution: z.string(),
})
export type Lock = z.infer<typeof lock>

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
})
export type State = z.infer<typeof state>

/** How a durable execution stands, in Lambda's words. */
export type ExecutionStatus = 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'STOPPED'

/** Takes the lock for a request; the token is the rollout's, higher than any before. */
export function takeLock(state: State, request: string, desired: ServedRelease): State {
  const token = state.token + 1
  const execution = executionName(token, request)
  return { ...state, token, desired, lock: { token, request, execution } }
}

/** A name is used once, also for the same release again; the request id makes it unique among environments. */
function executionName(token: number, request: string): string {
  return `${token}-${request}`
}

export function freeLock(state: State): State {
  return { ...state, lock: null }
}

/** From now on the release is what the fleet runs, and what it ran is what a rollback goes to. */
export function serveRelease(state: State, served: ServedRelease): State {
  if (state.current?.release === served.release) return { ...state, current: served }
  return { ...state, current: served, previous: state.current }
}

export const EMPTY_STATE: State = {
  format: 1,
  token: 0,
  desired: null,
  current: null,
  previous: null,
  lock: null,
}
