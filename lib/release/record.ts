import { z } from 'zod'
import { ACTIONS } from './command.ts'
import { type Verdict, verdict } from './verdict.ts'

/**
 * How a rollout or its request ended. `failed`: nothing was switched, or switching back failed too (the
 * reason tells). `rolled-back`: the fleet serves what it served before. `refused` and `superseded`: no
 * rollout was started. `stopped`: by hand, or as `on_failure` says; each target stays as it is.
 */
export const OUTCOMES = [
  'running',
  'done',
  'failed',
  'rolled-back',
  'refused',
  'superseded',
  'stopped',
] as const
export type Outcome = (typeof OUTCOMES)[number]
/** How something has ended. */
export type End = Exclude<Outcome, 'running'>

const phase = z.object({
  name: z.string(),
  /** What its targets were told. */
  action: z.enum(ACTIONS),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  targets: z.array(z.string()),
  /** How many of them have answered. */
  answered: z.number().int().default(0),
})
export type Phase = z.infer<typeof phase>

/** `rollouts/<request-id>.json`: what happened, per phase and target; readable without the engine. */
export const rolloutRecord = z.object({
  format: z.literal(1),
  id: z.string(),
  environment: z.string(),
  app: z.string(),
  action: z.string(),
  release: z.string().optional(),
  revision: z.string().optional(),
  from: z.string().optional(),
  requestedBy: z.string(),
  outcome: z.enum(OUTCOMES),
  reason: z.string().optional(),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  phases: z.array(phase),
  /** Each target's last verdict, by action. */
  targets: z.record(z.string(), z.record(z.string(), verdict)),
})
export type RolloutRecord = z.infer<typeof rolloutRecord>

interface Asked {
  id: string
  environment: string
  app: string
  requestedBy: string
  action?: string | undefined
  revision?: string | undefined
  from?: string | undefined
}

export function startRecord(asked: Asked, release: string | undefined, now: string): RolloutRecord {
  return {
    format: 1,
    id: asked.id,
    environment: asked.environment,
    app: asked.app,
    action: asked.action ?? 'deploy',
    ...(release && { release }),
    ...(asked.revision && { revision: asked.revision }),
    ...(asked.from && { from: asked.from }),
    requestedBy: asked.requestedBy,
    outcome: 'running',
    startedAt: now,
    phases: [],
    targets: {},
  }
}

/** The record of a request that starts no rollout. */
export function closedRecord(asked: Asked, outcome: End, reason: string, now: string): RolloutRecord {
  return endRecord(startRecord(asked, undefined, now), outcome, now, reason)
}

/** Beginning a phase again (a step that ran twice) changes nothing. */
export function beginPhase(
  record: RolloutRecord,
  { name, action, targets }: Pick<Phase, 'name' | 'action' | 'targets'>,
  now: string,
): RolloutRecord {
  if (record.phases.some((known) => known.name === name)) return record
  return { ...record, phases: [...record.phases, { name, action, startedAt: now, targets, answered: 0 }] }
}

export interface PhaseProgress {
  phase: string
  /** What was said since the last time. */
  verdicts: Record<string, Verdict>
  /** How many have answered up to now, where these are not all of them. */
  answered?: number
  /** Everyone has answered. A phase goes on for as long as an answer is that something still runs. */
  ended: boolean
}

export function noteProgress(record: RolloutRecord, progress: PhaseProgress, now: string): RolloutRecord {
  const targets = { ...record.targets }
  for (const [target, said] of Object.entries(progress.verdicts)) {
    targets[target] = { ...targets[target], [said.action]: said }
  }
  const said = Object.values(progress.verdicts)
  const isOver = progress.ended && said.every(({ outcome }) => outcome !== 'running')
  const phases = record.phases.map((known) =>
    known.name === progress.phase
      ? { ...known, answered: progress.answered ?? said.length, ...(isOver && { endedAt: now }) }
      : known,
  )
  return { ...record, targets, phases }
}

export function endRecord(
  record: RolloutRecord,
  outcome: Outcome,
  now: string,
  reason?: string,
): RolloutRecord {
  return { ...record, outcome, endedAt: now, ...(reason && { reason }) }
}
