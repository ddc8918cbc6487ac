import { existsSync, writeFileSync } from 'node:fs'
import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js'

interface Asked {
  name?: string
  /** Also polls, retries and runs in parallel. */
  whole?: boolean
  wait?: number
  fail?: string
  crash?: boolean
  large?: number
  /** A file that is written when the execution stands in the middle of a step for the first time. */
  marker?: string
}

/** A durable function with one of everything that ours use. */
async function flow(asked: Asked, context: DurableContext) {
  if (asked.fail) throw new Error(asked.fail)
  if (asked.large) return 'x'.repeat(asked.large)
  if (asked.wait) {
    await context.wait('wait', { seconds: asked.wait })
    return 'waited'
  }
  if (asked.crash) return crash(context)

  const greeting = await context.step('greet', async () => `hello ${asked.name}`)
  if (asked.marker) await context.step('stand', () => standStill(asked.marker ?? ''))
  if (!asked.whole) return { greeting }
  const polled = await context.waitForCondition('poll', async ({ polls }) => ({ polls: polls + 1 }), {
    initialState: { polls: 0 },
    waitStrategy: ({ polls }) =>
      polls < 3 ? { shouldContinue: true, delay: { seconds: 1 } } : { shouldContinue: false },
  })
  const attempts = await context.step('retry', failOnce, {
    retryStrategy: (_error, attempt) => ({ shouldRetry: attempt < 3, delay: { seconds: 1 } }),
  })
  const parallel = await context.parallel([
    async (branch) => branch.step('one', async () => 1),
    async (branch) => {
      await branch.wait({ seconds: 1 })
      return 2
    },
  ])
  return { greeting, polls: polled.polls, attempts, parallel: parallel.getResults() }
}

async function failOnce({ attempt }: { attempt: number }): Promise<number> {
  if (attempt < 2) throw new Error('not yet')
  return attempt
}

async function crash(context: DurableContext) {
  const made = await context.step('make', async () => ({ made: 1, madeBy: process.pid }))
  await context.step('die', async () => {
    if (process.pid === made.madeBy) process.exit(1)
  })
  return { ...made, endedBy: process.pid }
}

async function standStill(marker: string): Promise<void> {
  if (existsSync(marker)) return
  writeFileSync(marker, '')
  await new Promise((resolve) => setTimeout(resolve, 60_000))
}

export const handler = withDurableExecution(flow)
