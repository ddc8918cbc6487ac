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

const migration = z.object({
  release: z.string(),
  leader: z.string(),
  token: z.number().int(),
  status: z.enum(['running', 'done', 'failed', 'unknown']),
})
export type Migration = z.infer<typeof migration>

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
  migration: migration.nullable(),
})
export type State = z.infer<typeof state>

export const EMPTY_STATE: State = {
  format: 1,
  token: 0,
  desired: null,
  current: null,
  previous: null,
  lock: null,
  migration: null,
}
