import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { bakeLooks } from '../lib/release/progress.ts'

interface Watch<Cancel> {
  looks: number
  cancel: Cancel | null
}

/** Lets a wave bake, and ends early with the cancel that somebody asks for; each look is one operation. */
export async function watchBake<Cancel>(
  context: DurableContext,
  { wave, bakeSeconds }: { wave: number; bakeSeconds: number },
  cancelAsked: () => Promise<Cancel | null>,
): Promise<Cancel | null> {
  const pauses = bakeLooks(bakeSeconds)
  if (pauses.length === 0) return null
  const { cancel } = await context.waitForCondition(
    `bake ${wave}`,
    // A look that fails must not end the execution: the next one sees it.
    async ({ looks }: Watch<Cancel>) => ({ looks: looks + 1, cancel: await cancelAsked().catch(() => null) }),
    {
      initialState: { looks: -1, cancel: null } as Watch<Cancel>,
      waitStrategy: ({ looks, cancel: asked }) => {
        const seconds = pauses[looks]
        if (asked || seconds === undefined) return { shouldContinue: false }
        return { shouldContinue: true, delay: { seconds } }
      },
    },
  )
  return cancel
}
