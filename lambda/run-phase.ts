import type { DurableContext } from '@aws/durable-execution-sdk-js'
import type { Action } from '../lib/release/command.ts'
import { judgePhase, type PhaseResult, secondsToNextLook, withSilent } from '../lib/release/progress.ts'
import { beginPhase, noteProgress, type RolloutRecord } from '../lib/release/record.ts'
import type { Verdict } from '../lib/release/verdict.ts'

export interface Phase {
  /** Unique in the rollout: durable operations are told apart by it. */
  name: string
  /** As the record names it, where several commands make one phase. */
  phase: string
  targets: readonly string[]
  action: Action
  maxFailures: number
  /** Whoever has not answered by then has failed. */
  longestSeconds: number
  /** Gives the ids of what was sent, now or by an earlier try. */
  send(): Promise<string[]>
  answers(commandIds: string[]): Promise<Record<string, Verdict>>
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

/** Sends a command to targets and follows it until each has ended, or should have. */
export async function runPhase(
  context: DurableContext,
  record: (change: (known: RolloutRecord, now: string) => RolloutRecord) => Promise<void>,
  { name, phase, targets, action, maxFailures, longestSeconds, send, answers }: Phase,
): Promise<PhaseResult & { seconds: number }> {
  if (targets.length === 0) return { succeeded: [], unsettled: [], seconds: 0 }
  const commandIds = await context.step(`send ${name}`, async () => {
    await record((known, now) => beginPhase(known, phase, [...targets], now))
    return send()
  })

  const look = async ({ answered, waitedSeconds }: Watch): Promise<Watch> => {
    const said = await answers(commandIds)
    const verdicts = waitedSeconds < longestSeconds ? said : withSilent(said, action, targets)
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

  const judged = await context.step(`judge ${name}`, async () =>
    judgePhase(withSilent(await answers(commandIds), action, targets), maxFailures),
  )
  return { ...judged, seconds: waitedSeconds }
}
