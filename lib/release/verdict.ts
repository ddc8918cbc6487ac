import { z } from 'zod'

const MIGRATION_STATES = ['none', 'running', 'ended', 'failed', 'interrupted'] as const

/**
 * What a target says of a command: the one JSON line on its standard output, 2,000 characters at most.
 * `running`: a migration that has not ended yet. `reverted`: activation failed and the previous release is
 * back and healthy. `refused`: nothing was touched (an older token, another environment, another platform). `gone`, which is not
 * said by a target but of it: stopped or terminated before it could answer; it catches up when it is back.
 */
export const verdict = z.object({
  action: z.string(),
  outcome: z.enum(['done', 'running', 'failed', 'reverted', 'refused', 'gone']),
  /** The release that the target serves after the command; null when it serves none. */
  current: z.string().nullable(),
  release: z.string().optional(),
  reason: z.string().optional(),
  /**
   * Of a `migrate`, how the migration stands: `none` has not changed anything, `interrupted` may have. Not said
   * where the command did not come so far as to know.
   */
  migration: z.enum(MIGRATION_STATES).optional(),
  /** Not the target's word: it said none. */
  silent: z.boolean().optional(),
  /** The app's or hook's own last lines, where they tell why. */
  log: z.string().optional(),
  /** Where in the bucket the whole logs of what failed are. */
  report: z.string().optional(),
  /** Seconds, by phase: fetch, wheels, install, sync, unpack, compile, restart, health, and each hook by its name. */
  phases: z.record(z.string(), z.number()).default({}),
  bytes: z.number().int().optional(),
})
export type Verdict = z.infer<typeof verdict>

/** Undefined when the output holds no verdict: the program was killed or never ran. */
export function parseVerdict(output: string): Verdict | undefined {
  const line = output.split('\n').find((candidate) => candidate.startsWith('{'))
  if (!line) return undefined
  try {
    return verdict.safeParse(JSON.parse(line)).data
  } catch {
    return undefined
  }
}
