import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '../atomic-file.ts'
import { sleepUntil } from '../sleep-until.ts'
import type { InvocationResult } from './runtime-api.ts'
import { functionError } from './worker.ts'

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

type Deliver = (functionArn: string, payload: string) => Promise<InvocationResult>

/** Twice, as on AWS; which waits one and then two minutes, while here somebody sits and watches. */
const RETRY_SECONDS = [2, 5]

export interface AsyncOptions {
  retrySeconds?: readonly number[]
  /** How often one is tried again; two times where nobody says so. */
  retriesOf?: (functionArn: string) => number | undefined
  /** Takes one that has failed for good; false where nobody wants it. */
  onFailed?: (failed: FailedInvocation) => boolean
}

export interface FailedInvocation {
  functionArn: string
  payload: string
  invocations: number
  result: InvocationResult
}

export function openAsyncInvocations(
  directory: string,
  deliver: Deliver,
  { retrySeconds = RETRY_SECONDS, retriesOf = () => undefined, onFailed = () => false }: AsyncOptions = {},
): AsyncInvocations {
  const undelivered = join(directory, 'undelivered')
  const failed = join(directory, 'failed')
  for (const folder of [undelivered, failed]) mkdirSync(folder, { recursive: true })
  const closing = new AbortController()

  const work = async (name: string, waiting: Waiting) => {
    const file = join(undelivered, name)
    for (;;) {
      const { functionArn, payload } = waiting
      const result = await deliver(functionArn, payload).catch((error) => {
        // The function is not in the stack any more, or cannot be invoked this way.
        console.error(`An event for ${functionArn} could not be delivered: ${error}`)
        return functionError('Undeliverable', String(error))
      })
      if (closing.signal.aborted) return
      if (!result.error) return rmSync(file)
      const delay = retrySeconds.slice(0, retriesOf(functionArn))[waiting.failures]
      waiting.failures++
      if (delay === undefined) {
        const isTaken = onFailed({ functionArn, payload, invocations: waiting.failures, result })
        return isTaken ? rmSync(file) : renameSync(file, join(failed, name))
      }
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
