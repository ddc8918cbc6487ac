import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { ALL_QUIET, type AlarmWatch, isUnsure, READ_AGAIN_SECONDS } from '../lib/release/alarms.ts'
import { isQuiet, secondsToNextLook, withGone, withSilent } from '../lib/release/progress.ts'
import { noteProgress } from '../lib/release/record.ts'
import type { Verdict } from '../lib/release/verdict.ts'
import type { ChangeRecord, Phase, SentPhase } from './run-phase.ts'

/** What is carried from one look to the next; each is kept, and an execution may write 100 MB in all. */
interface Watch {
  /** Who has not answered, as indices of the phase's targets. */
  open: number[]
  /** How many answers of each command are in the record. */
  answered: number[]
  waitedSeconds: number
  failedLooks: number
  alarms: AlarmWatch
}

/** Who asks a target how something long stands has its answer after seconds, however long that has lasted. */
const SOON_SECONDS = 5
/** So many failed looks in a row end the rollout; a throttled minute does not. */
const FAILED_LOOKS = 20
/** Who is silent for longer may be gone; so many are asked about at each look. */
const SUSPICIOUS_SECONDS = 30
const MOST_SUSPECTS = 200

/** Looks until everybody has answered, or should have, and the alarms are known; how many seconds that took, and what rang. */
export async function watchPhase(
  context: DurableContext,
  record: ChangeRecord,
  phase: Phase,
  sent: SentPhase,
): Promise<{ seconds: number; ringing: string | null }> {
  const refused = new Set(sent.refused)
  const reached = phase.targets.flatMap((target, index) => (refused.has(target) ? [] : [index]))
  const pace = (waited: number) => secondsToNextLook(waited === 0 ? 0 : phase.waitedSeconds + waited)
  const nextLook = (waited: number) =>
    waited === pace(0) ? Math.min(SOON_SECONDS, pace(waited)) : pace(waited)
  const { waitedSeconds, alarms } = await context.waitForCondition(
    `watch ${phase.name}`,
    // A check that throws is not retried by the SDK but ends the execution: failures are counted instead.
    async ({ failedLooks, ...before }: Watch) => {
      const waited = before.waitedSeconds + nextLook(before.waitedSeconds)
      const seen = { ...before, alarms: await phase.lookAtAlarms(before.alarms) }
      try {
        return await look(record, phase, sent, { ...seen, waitedSeconds: waited, failedLooks: 0 })
      } catch (error) {
        if (failedLooks + 1 >= FAILED_LOOKS) throw error
        return { ...seen, waitedSeconds: waited, failedLooks: failedLooks + 1 }
      }
    },
    {
      initialState: {
        open: reached,
        answered: sent.commandIds.map(() => 0),
        waitedSeconds: 0,
        failedLooks: 0,
        alarms: ALL_QUIET,
      },
      waitStrategy: ({ open, waitedSeconds: waited, alarms: heard }) => {
        const isOver = open.length === 0 || waited >= phase.longestSeconds
        if (!isOver) return { shouldContinue: true, delay: { seconds: nextLook(waited) } }
        return isUnsure(heard)
          ? { shouldContinue: true, delay: { seconds: READ_AGAIN_SECONDS } }
          : { shouldContinue: false }
      },
    },
  )
  // The first look is counted as a second, and waited for nothing.
  return { seconds: waitedSeconds - pace(0), ringing: alarms.ringing }
}

/** One look at a fleet costs a call, and one more for each command of which more targets have answered. */
async function look(record: ChangeRecord, phase: Phase, sent: SentPhase, seen: Watch): Promise<Watch> {
  const { targets, action } = phase
  const { news, answered } = await readNews(phase, sent, seen.answered)
  const suspects = namesAt(targets, seen.open).filter((target) => isQuiet(news[target]))
  const isWorthAsking = seen.waitedSeconds >= SUSPICIOUS_SECONDS && suspects.length > 0
  const missing = isWorthAsking ? await phase.gone(suspects.slice(0, MOST_SUSPECTS)) : []
  const verdicts = withGone({ ...withSilent({}, action, missing), ...news }, missing)
  const open = seen.open.filter((index) => !(String(targets[index]) in verdicts))
  if (open.length < seen.open.length) {
    const progress = { verdicts, answered: targets.length - open.length, ended: false }
    await record((known, now) => noteProgress(known, { phase: phase.phase, ...progress }, now))
  }
  return { ...seen, open, answered }
}

async function readNews(
  { endedCounts, answers }: Phase,
  { commandIds, since }: SentPhase,
  answeredBefore: readonly number[],
): Promise<{ news: Record<string, Verdict>; answered: number[] }> {
  const ended = await endedCounts(commandIds, since)
  const answered = [...answeredBefore]
  const news: Record<string, Verdict> = {}
  for (const [index, id] of commandIds.entries()) {
    if (ended[index] === answered[index]) continue
    const said = await answers([id])
    // Lists agree with each other in the end only: what this one does not show yet is asked for again.
    answered[index] = Object.keys(said).length
    Object.assign(news, said)
  }
  return { news, answered }
}

const namesAt = (targets: readonly string[], indices: readonly number[]) =>
  indices.map((index) => String(targets[index]))
