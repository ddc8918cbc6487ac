import { z } from 'zod'
import { type End, OUTCOMES, type RolloutRecord } from './record.ts'

/** What rules match on; both are promised, as is what `docs/events.md` tells of the detail. */
export const EVENT_SOURCE = 'pybundle-deploy'
export const EVENT_DETAIL_TYPE = 'Pybundle Rollout Status Change'

/** On the way, then the ends. */
export const ROLLOUT_STATUSES = [
  'begun',
  'prepared',
  'migrated',
  'wave-activated',
  'wave-baked',
  'done',
  'rolled-back',
  'stopped',
  'failed',
  'cancelled',
  'refused',
  'superseded',
] as const
export type RolloutStatus = (typeof ROLLOUT_STATUSES)[number]

const count = z.number().int().nonnegative()

/** The detail of an event on the default bus: where a rollout has come to. */
export const rolloutEvent = z.strictObject({
  version: z.literal(1).describe('of this schema; members may be added under the same number'),
  status: z.enum(ROLLOUT_STATUSES).describe('where the rollout has come to: see above'),
  environment: z.string().describe('the environment'),
  app: z.string().describe('the app'),
  rollout: z.string().describe('the id of the request, and of `rollouts/<id>.json`'),
  action: z.string().describe('what was asked for: `deploy`, `promote`, `rollback`, `repair`'),
  requestedBy: z.string().describe('who asked, in their own words'),
  release: z.string().optional().describe('the release; absent where the request never came to one'),
  revision: z.string().optional().describe('the revision of its code, where it is known'),
  wave: z.number().int().positive().optional().describe('which wave, from 1'),
  targets: count
    .optional()
    .describe('how many targets: are to be reached (`begun`), prepared, switched, or baked healthily'),
  failed: count.optional().describe('how many targets have failed so far'),
  outcome: z
    .enum(OUTCOMES)
    .optional()
    .describe("at an end: the record's outcome, which for `cancelled` is `stopped` or `rolled-back`"),
  reason: z.string().optional().describe('at an end: why, for people; its words may change'),
})
export type RolloutEvent = z.infer<typeof rolloutEvent>

/** What all events of a rollout tell. */
export type AboutRollout = Omit<RolloutEvent, 'status' | 'wave' | 'targets' | 'failed' | 'outcome' | 'reason'>

/** What is told of a rollout, from its record: without what it did. */
export function aboutRollout(record: Omit<RolloutRecord, 'phases' | 'targets'>): AboutRollout {
  const { id: rollout, environment, app, action, requestedBy, release, revision } = record
  const known = { ...(release && { release }), ...(revision && { revision }) }
  return { version: 1, environment, app, rollout, action, requestedBy, ...known }
}

/** A rollout that somebody ended is told as cancelled, unless the way back failed. */
export function endEvent(
  about: AboutRollout,
  outcome: End,
  { reason, isAsked = false }: { reason?: string | undefined; isAsked?: boolean },
): RolloutEvent {
  const isCancelled = isAsked && (outcome === 'stopped' || outcome === 'rolled-back')
  return { ...about, status: isCancelled ? 'cancelled' : outcome, outcome, ...(reason && { reason }) }
}
