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

const NAMED_FAILURES = 3

export function judgePhase(verdicts: Record<string, Verdict>, maxFailures: number): PhaseResult {
  const all = Object.entries(verdicts)
  const succeeded = all.filter(([, { outcome }]) => outcome === 'done').map(([target]) => target)
  const failed = all.filter(([, { outcome }]) => outcome !== 'done' && outcome !== 'running')
  const isTolerable = failed.length <= maxFailures && failed.length < Math.max(all.length, 1)
  if (isTolerable) return { succeeded }
  const named = failed
    .slice(0, NAMED_FAILURES)
    .map(([target, { reason }]) => `${target}: ${reason ?? 'no reason given'}`)
  const more = failed.length > NAMED_FAILURES ? `; and ${failed.length - NAMED_FAILURES} more` : ''
  return { succeeded, failure: `${failed.length} of ${all.length} failed. ${named.join('; ')}${more}` }
}
