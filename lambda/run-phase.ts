import { createRetryStrategy, type DurableContext } from '@aws/durable-execution-sdk-js'
import type { Sent } from '../lib/aws/run-command.ts'
import type { Action } from '../lib/release/command.ts'
import {
  isQuiet,
  judgePhase,
  type Limits,
  type PhaseResult,
  silent,
  withGone,
  withSilent,
} from '../lib/release/progress.ts'
import { beginPhase, noteProgress, type RolloutRecord } from '../lib/release/record.ts'
import type { Verdict } from '../lib/release/verdict.ts'
import type { LookAtAlarms } from './look-at-alarms.ts'
import { watchPhase } from './watch-phase.ts'

export interface Phase {
  /** Unique in the rollout: durable operations are told apart by it. */
  name: string
  /** As the record names it, where several commands make one phase. */
  phase: string
  targets: readonly string[]
  action: Action
  limits: Limits
  /** In phases before it that ask for the same: looks are spaced by the time that has passed in all. */
  waitedSeconds: number
  /** Whoever has not answered by then has failed. */
  longestSeconds: number
  /** What was sent, now or by an earlier try. */
  send(since: string): Promise<Sent>
  /** On how many targets each command has ended. */
  endedCounts(commandIds: readonly string[], since: string): Promise<number[]>
  /** Of those that have ended. */
  answers(commandIds: readonly string[]): Promise<Record<string, Verdict>>
  /** What rings while it lasts makes it fail. */
  lookAtAlarms: LookAtAlarms
  /** Which of these are stopped or terminated. */
  gone(targets: readonly string[]): Promise<string[]>
}

/** Commands on their way: since when, and who was refused by Run Command. */
export interface SentPhase extends Sent {
  since: string
}

export type ChangeRecord = (
  change: (known: RolloutRecord, now: string) => RolloutRecord,
) => Promise<RolloutRecord>

/** Each try finds what an earlier one had sent. */
const SEND_TRIES = createRetryStrategy({
  maxAttempts: 10,
  initialDelay: { seconds: 2 },
  maxDelay: { seconds: 60 },
})

/** Sends a command to targets and follows it until each has ended, or should have, or is gone. */
export async function runPhase(
  context: DurableContext,
  record: ChangeRecord,
  phase: Phase,
): Promise<PhaseResult & { seconds: number }> {
  const { name, targets, limits } = phase
  if (targets.length === 0) return { succeeded: [], failed: [], gone: [], serves: {}, seconds: 0 }
  const sent = await context.step(`send ${name}`, () => sendPhase(record, phase), {
    retryStrategy: SEND_TRIES,
  })
  const { seconds, ringing } = await watchPhase(context, record, phase, sent)
  const judged = await context.step(`judge ${name}`, async () => {
    const verdicts = await allVerdicts(phase, sent)
    await record((known, now) => noteProgress(known, { phase: phase.phase, verdicts, ended: true }, now))
    return judgePhase(verdicts, limits)
  })
  const { succeeded, failed, gone } = judged
  context.logger.info('A phase is over.', { phase: name, succeeded: succeeded.length, failed, gone, seconds })
  const failure = [judged.failure, ringing].filter(Boolean).join(' ')
  return { ...judged, ...(failure && { failure }), seconds }
}

async function sendPhase(
  record: ChangeRecord,
  { phase: name, action, targets, send }: Phase,
): Promise<SentPhase> {
  const { phases } = await record((known, now) =>
    beginPhase(known, { name, action, targets: [...targets] }, now),
  )
  const since = phases.find((phase) => phase.name === name)?.startedAt ?? ''
  return { ...(await send(since)), since }
}

/** All have ended, in whatever way: who has said nothing is asked about once more. */
async function allVerdicts(
  { targets, action, answers, gone }: Phase,
  { commandIds, refused }: SentPhase,
): Promise<Record<string, Verdict>> {
  const unreached = silent(action, 'Run Command refused to send it anything')
  const said = {
    ...Object.fromEntries(refused.map((target) => [target, unreached])),
    ...(await answers(commandIds)),
  }
  const missing = await gone(targets.filter((target) => isQuiet(said[target])))
  return withGone(withSilent(said, action, targets), missing)
}
