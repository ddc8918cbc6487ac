import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '../atomic-file.ts'
import { sleepUntil } from '../sleep-until.ts'

/** Asynchronous invocations: on disk until the function has done them, also over a restart. */
export interface AsyncInvocations {
  add(functionArn: string, payload: string): void
  /** Delivers what an earlier local cloud had not. */
  resume(): void
  close(): void
}

interface Waiting {
  functionArn: string
  payload: string
  failures: number
}

/** False when the function failed. */
type Deliver = (functionArn: string, payload: string) => Promise<boolean>

/** Twice, as on AWS; which waits one and then two minutes, while here somebody sits and watches. */
const RETRY_SECONDS = [2, 5]

export function openAsyncInvocations(
  directory: string,
  deliver: Deliver,
  retrySeconds = RETRY_SECONDS,
): AsyncInvocations {
  const undelivered = join(directory, 'undelivered')
  const failed = join(directory, 'failed')
  for (const folder of [undelivered, failed]) mkdirSync(folder, { recursive: true })
  const closing = new AbortController()

  const work = async (name: string, waiting: Waiting) => {
    const file = join(undelivered, name)
    for (;;) {
      const isDone = await deliver(waiting.functionArn, waiting.payload).catch((error) => {
        // The function is not in the stack any more, or cannot be invoked this way.
        console.error(`An event for ${waiting.functionArn} could not be delivered: ${error}`)
        return false
      })
      if (closing.signal.aborted) return
      if (isDone) return rmSync(file)
      const delay = retrySeconds[waiting.failures]
      if (delay === undefined) return renameSync(file, join(failed, name))
      waiting.failures++
      writeFileAtomically(file, JSON.stringify(waiting))
      await sleepUntil(new Date(Date.now() + delay * 1000), closing.signal)
      if (closing.signal.aborted) return
    }
  }

  return {
    add(functionArn, payload) {
      const waiting = { functionArn, payload, failures: 0 }
      const name = `${new Date().toISOString()}-${randomUUID()}.json`
      writeFileAtomically(join(undelivered, name), JSON.stringify(waiting))
      if (!closing.signal.aborted) void work(name, waiting)
    },
    resume() {
      for (const name of readdirSync(undelivered).sort()) {
        if (!name.endsWith('.json')) continue
        void work(name, JSON.parse(readFileSync(join(undelivered, name), 'utf8')))
      }
    },
    close: () => closing.abort(),
  }
}
