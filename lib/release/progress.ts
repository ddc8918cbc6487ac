import type { Action } from './command.ts'
import { some } from './reasons.ts'
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
  failed: string[]
  /** Stopped or terminated meanwhile: neither the one nor the other. */
  gone: string[]
  /** What each that spoke says it serves. */
  serves: Record<string, string | null>
  /** Of a phase with one target. */
  only?: Verdict
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
  return silent(action, `gave no verdict: ${status}${output ? `, ${output.trim().slice(0, 300)}` : ''}`)
}

export function silent(action: Action, reason: string): Verdict {
  return { action, outcome: 'failed', current: null, reason, silent: true, phases: {} }
}

/** Whether it has said nothing, by itself. */
export function isQuiet(verdict: Verdict | undefined): boolean {
  return !verdict || verdict.silent === true
}

/** Whoever has not answered when the time is over has failed. */
export function withSilent(
  verdicts: Record<string, Verdict>,
  action: Action,
  targets: readonly string[],
): Record<string, Verdict> {
  const unheard = silent(action, 'has not answered in time')
  return { ...Object.fromEntries(targets.map((target) => [target, unheard])), ...verdicts }
}

/** Those that said nothing because they are stopped or terminated have not failed. */
export function withGone(
  verdicts: Record<string, Verdict>,
  gone: readonly string[],
): Record<string, Verdict> {
  const changed = gone.flatMap((target) => {
    const verdict = verdicts[target]
    return verdict?.silent ? [[target, { ...verdict, outcome: 'gone', reason: GONE }] as const] : []
  })
  return { ...verdicts, ...Object.fromEntries(changed) }
}

const GONE = 'was stopped or terminated; it catches up when it is back'

export interface Limits {
  allowed: number
  /** In phases before it that count together with this one. */
  failedBefore?: number
  /** Of whom the allowed are a part. */
  total?: number
  /** Whether somebody has to succeed in this phase. */
  mustSucceed?: boolean
}

export function judgePhase(verdicts: Record<string, Verdict>, limits: Limits): PhaseResult {
  const { allowed, failedBefore = 0, mustSucceed = true } = limits
  const succeeded = targetsWith(verdicts, ['done'])
  const failed = targetsWith(verdicts, ['failed', 'reverted', 'refused'])
  const gone = targetsWith(verdicts, ['gone'])
  const spoke = Object.entries(verdicts).filter(([, verdict]) => !verdict.silent)
  const serves = Object.fromEntries(spoke.map(([target, { current }]) => [target, current]))
  const [only] = Object.values(verdicts)
  const result = {
    succeeded,
    failed,
    gone,
    serves,
    ...(only && Object.keys(verdicts).length === 1 && { only }),
  }
  const total = limits.total ?? Object.keys(verdicts).length
  const isNobodyLeft = mustSucceed && failed.length > 0 && failed.length === Object.keys(verdicts).length
  if (failed.length === 0 || (failedBefore + failed.length <= allowed && !isNobodyLeft)) return result
  const named = failed.map((target) => `${target}: ${verdicts[target]?.reason ?? 'no reason given'}`)
  const failure = `${failedBefore + failed.length} of ${total} failed. ${some(named, '; ')}`
  return { ...result, failure }
}

function targetsWith(verdicts: Record<string, Verdict>, wanted: readonly Verdict['outcome'][]): string[] {
  return Object.entries(verdicts).flatMap(([target, { outcome }]) =>
    wanted.includes(outcome) ? [target] : [],
  )
}

/**
 * Each look waits a tenth of the time that has passed: soon at first, and two days are about a hundred looks.
 * A durable execution has 3,000 operations, and each look is one.
 */
export function secondsToNextLook(waitedSeconds: number): number {
  return Math.max(1, Math.ceil(waitedSeconds / 10))
}

/** A target that is asked how something stands costs more operations than a look at an answer. */
export function secondsToNextAsking(waitedSeconds: number): number {
  return Math.max(2, Math.ceil(waitedSeconds / 7))
}

/** How many looks there are until so much time has passed. */
export function looksWithin(seconds: number): number {
  let looks = 0
  for (let waited = 0; waited < seconds; waited += secondsToNextLook(waited)) looks++
  return looks
}

const SHORTEST_LOOK = 30
const MOST_LOOKS = 100

/** A bake is watched, so that a cancel is seen: at most a hundred looks, none sooner than half a minute. */
export function bakeLooks(seconds: number): number[] {
  const each = Math.max(SHORTEST_LOOK, Math.ceil(seconds / MOST_LOOKS))
  const whole = Array.from({ length: Math.floor(seconds / each) }, () => each)
  const rest = seconds % each
  return rest > 0 ? [...whole, rest] : whole
}
