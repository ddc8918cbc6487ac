import { createRetryStrategy, type DurableContext } from '@aws/durable-execution-sdk-js'
import type { Sent } from '../lib/aws/run-command.ts'
import type { Action } from '../lib/release/command.ts'
import {
  judgePhase,
  type Limits,
  type PhaseResult,
  secondsToNextLook,
  silent,
  withGone,
  withSilent,
} from '../lib/release/progress.ts'
import { beginPhase, noteProgress, type RolloutRecord } from '../lib/release/record.ts'
import type { Verdict } from '../lib/release/verdict.ts'

export interface Phase {
  /** Unique in the rollout: durable operations are told apart by it. */
  name: string
  /** As the record names it, where several commands make one phase. */
  phase: string
  targets: readonly string[]
  action: Action
  limits: Limits
  /** Whoever has not answered by then has failed. */
  longestSeconds: number
  /** What was sent, now or by an earlier try. */
  send(): Promise<Sent>
  answers(commandIds: string[]): Promise<Record<string, Verdict>>
  /** Which of these are stopped or terminated. */
  gone(targets: readonly string[]): Promise<string[]>
}

/** What is carried from one look at a running command to the next. */
interface Watch {
  answered: number
  ended: boolean
  waitedSeconds: number
  failedLooks: number
}

/** So many failed looks in a row end the rollout; a throttled minute does not. */
const FAILED_LOOKS = 20
/** Who is silent for longer may be gone; so many are asked about at each look. */
const SUSPICIOUS_SECONDS = 30
const MOST_SUSPECTS = 200
/** Each try finds what an earlier one had sent. */
const SEND_TRIES = createRetryStrategy({
  maxAttempts: 10,
  initialDelay: { seconds: 2 },
  maxDelay: { seconds: 60 },
})

/** Sends a command to targets and follows it until each has ended, or should have, or is gone. */
export async function runPhase(
  context: DurableContext,
  record: (change: (known: RolloutRecord, now: string) => RolloutRecord) => Promise<void>,
  { name, phase, targets, action, limits, longestSeconds, send, answers, gone }: Phase,
): Promise<PhaseResult & { seconds: number }> {
  if (targets.length === 0) return { succeeded: [], failed: [], gone: [], serves: {}, seconds: 0 }
  const { commandIds, refused } = await context.step(
    `send ${name}`,
    async () => {
      await record((known, now) => beginPhase(known, phase, [...targets], now))
      return send()
    },
    { retryStrategy: SEND_TRIES },
  )
  const unreached = Object.fromEntries(
    refused.map((target) => [target, silent(action, 'Run Command refused to send it anything')]),
  )

  const verdictsSoFar = async (waitedSeconds: number) => {
    const said = { ...unreached, ...(await answers(commandIds)) }
    const isOver = waitedSeconds >= longestSeconds
    const quiet = targets.filter((target) => isQuiet(said[target]))
    const isWorthAsking = quiet.length > 0 && (isOver || waitedSeconds >= SUSPICIOUS_SECONDS)
    const missing = isWorthAsking ? await gone(quiet.slice(0, isOver ? quiet.length : MOST_SUSPECTS)) : []
    const known = isOver ? withSilent(said, action, targets) : { ...withSilent({}, action, missing), ...said }
    return withGone(known, missing)
  }

  const look = async ({ answered, waitedSeconds }: Watch): Promise<Watch> => {
    const verdicts = await verdictsSoFar(waitedSeconds)
    const count = Object.keys(verdicts).length
    const ended = count >= targets.length
    // A look that found nothing new writes nothing.
    if (count > answered || ended)
      await record((known, now) => noteProgress(known, { phase, verdicts, ended }, now))
    return { answered: count, ended, waitedSeconds, failedLooks: 0 }
  }

  const { waitedSeconds } = await context.waitForCondition(
    `watch ${name}`,
    // A check that throws is not retried by the SDK but ends the execution: failures are counted instead.
    async (seen: Watch) => {
      const passed = seen.waitedSeconds + secondsToNextLook(seen.waitedSeconds)
      try {
        return await look({ ...seen, waitedSeconds: passed })
      } catch (error) {
        if (seen.failedLooks + 1 >= FAILED_LOOKS) throw error
        return { ...seen, waitedSeconds: passed, failedLooks: seen.failedLooks + 1 }
      }
    },
    {
      initialState: { answered: 0, ended: false, waitedSeconds: 0, failedLooks: 0 },
      waitStrategy: ({ ended, waitedSeconds: waited }) =>
        ended
          ? { shouldContinue: false }
          : { shouldContinue: true, delay: { seconds: secondsToNextLook(waited) } },
    },
  )

  const judged = await context.step(`judge ${name}`, async () => {
    // All have ended, in whatever way: who has said nothing is asked about once more.
    const verdicts = await verdictsSoFar(longestSeconds)
    await record((known, now) => noteProgress(known, { phase, verdicts, ended: true }, now))
    return judgePhase(verdicts, limits)
  })
  return { ...judged, seconds: waitedSeconds }
}

const isQuiet = (verdict: Verdict | undefined) => !verdict || verdict.silent === true
