import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { ALL_QUIET, type AlarmWatch, isUnsure, READ_AGAIN_SECONDS } from '../lib/release/alarms.ts'
import { bakeLooks } from '../lib/release/progress.ts'
import type { LookAtAlarms } from './look-at-alarms.ts'

interface Bake<Cancel> {
  /** Of the operation. */
  name: string
  bakeSeconds: number
  cancelAsked: () => Promise<Cancel | null>
  lookAtAlarms: LookAtAlarms
}

interface Watch<Cancel> {
  looks: number
  cancel: Cancel | null
  alarms: AlarmWatch
}

/** Lets a wave bake, or waits until the alarms can be read; ends early with the cancel that somebody asks for, or an alarm; each look is one operation. */
export async function watchBake<Cancel>(
  context: DurableContext,
  { name, bakeSeconds, cancelAsked, lookAtAlarms }: Bake<Cancel>,
): Promise<{ cancel: Cancel | null; ringing: string | null }> {
  const pauses = bakeLooks(bakeSeconds)
  const { cancel, alarms } = await context.waitForCondition(
    name,
    async ({ looks, alarms: heard }: Watch<Cancel>) => ({
      looks: looks + 1,
      // A look that fails must not end the execution: the next one sees it.
      cancel: await cancelAsked().catch(() => null),
      alarms: await lookAtAlarms(heard),
    }),
    {
      initialState: { looks: -1, cancel: null, alarms: ALL_QUIET } as Watch<Cancel>,
      waitStrategy: ({ looks, cancel: asked, alarms: heard }) => {
        const seconds = pauses[looks] ?? (isUnsure(heard) ? READ_AGAIN_SECONDS : undefined)
        if (asked || heard.ringing || seconds === undefined) return { shouldContinue: false }
        return { shouldContinue: true, delay: { seconds } }
      },
    },
  )
  return { cancel, ringing: alarms.ringing }
}
