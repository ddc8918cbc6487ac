import type { Action } from './command.ts'
import { parseVerdict, type Verdict } from './verdict.ts'

/** How a command stands on one target, as Run Command tells it. */
export interface Answer {
  target: string
  status: string
  ended: boolean
  output: string
}

export interface PhaseResult {
  succeeded: string[]
  /** Failed without a word that the release before is back: what they serve is not known. */
  unsettled: string[]
  /** Set when more targets failed than the policy allows: why, for each of the first few. */
  failure?: string
}

/** The verdicts of those that have ended; one that ended without a word has failed. */
export function verdictsOf(action: Action, answers: readonly Answer[]): Record<string, Verdict> {
  const ended = answers.filter((answer) => answer.ended)
  return Object.fromEntries(ended.map((answer) => [answer.target, verdictOf(action, answer)]))
}

function verdictOf(action: Action, { status, output }: Answer): Verdict {
  const said = parseVerdict(output)
  if (said) return said
  const reason = `gave no verdict: ${status}${output ? `, ${output.trim().slice(0, 300)}` : ''}`
  return { action, outcome: 'failed', current: null, reason, phases: {} }
}

/** Whoever has not answered when the time is over has failed. */
export function withSilent(
  verdicts: Record<string, Verdict>,
  action: Action,
  targets: readonly string[],
): Record<string, Verdict> {
  const reason = 'has not answered in time'
  const silent: Verdict = { action, outcome: 'failed', current: null, reason, phases: {} }
  return { ...Object.fromEntries(targets.map((target) => [target, silent])), ...verdicts }
}

const NAMED_FAILURES = 3

export function judgePhase(verdicts: Record<string, Verdict>, maxFailures: number): PhaseResult {
  const all = Object.entries(verdicts)
  const succeeded = targetsWith(verdicts, 'done')
  const unsettled = targetsWith(verdicts, 'failed')
  const failed = all.filter(([, { outcome }]) => outcome !== 'done' && outcome !== 'running')
  const isTolerable = failed.length <= maxFailures && failed.length < Math.max(all.length, 1)
  if (isTolerable) return { succeeded, unsettled }
  const named = failed
    .slice(0, NAMED_FAILURES)
    .map(([target, { reason }]) => `${target}: ${reason ?? 'no reason given'}`)
  const more = failed.length > NAMED_FAILURES ? `; and ${failed.length - NAMED_FAILURES} more` : ''
  const failure = `${failed.length} of ${all.length} failed. ${named.join('; ')}${more}`
  return { succeeded, unsettled, failure }
}

function targetsWith(verdicts: Record<string, Verdict>, wanted: Verdict['outcome']): string[] {
  return Object.keys(verdicts).filter((target) => verdicts[target]?.outcome === wanted)
}

/**
 * Each look waits a tenth of the time that has passed: soon at first, and two days are about a hundred looks.
 * A durable execution has 3,000 operations, and each look is one.
 */
export function secondsToNextLook(waitedSeconds: number): number {
  return Math.max(1, Math.ceil(waitedSeconds / 10))
}
