import { setImmediate } from 'node:timers/promises'
import { vi } from 'vitest'
import type { SleepUntil } from '../../local/sleep-until.ts'

/** What the durable SDK waits before it suspends, tens of times in a rollout: milliseconds. */
const SHORT_PAUSE = 20

interface Sleeper {
  time: number
  wake(): void
}

/**
 * Time that passes only when nobody works: hours of bake in moments. It is also what `Date` says in the whole
 * process, so that records, signatures and S3's own times agree with it. Timers stay real, and take it along: what
 * the SDK waits before it tries again has passed for everybody.
 */
export class VirtualClock {
  readonly #sleepers = new Set<Sleeper>()
  readonly #work = new Set<Promise<unknown>>()
  readonly #setTimeout = globalThis.setTimeout
  #isClosed = false
  /** So many times as fast as they are timers run. */
  haste = 1

  constructor(start = new Date('2026-03-01T12:00:00Z')) {
    vi.useFakeTimers({ toFake: ['Date'], now: start })
    const setTimer = (work: (...values: unknown[]) => void, milliseconds = 0, ...values: unknown[]) => {
      // A millisecond at least: who waits for a fraction of one, as the rate limiter does, waited for ever.
      const end = Math.floor(Date.now() + milliseconds) + 1
      const fire = () => {
        if (!this.#isClosed) vi.setSystemTime(Math.max(end, Date.now()))
        work(...values)
      }
      const pause = milliseconds <= SHORT_PAUSE ? 1 : milliseconds / this.haste
      return this.#setTimeout(fire, pause)
    }
    globalThis.setTimeout = Object.assign(setTimer, this.#setTimeout)
  }

  readonly sleepUntil: SleepUntil = (time, signal) => {
    if (time.getTime() <= Date.now() || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const sleeper = {
        time: time.getTime(),
        wake: () => {
          this.#sleepers.delete(sleeper)
          signal.removeEventListener('abort', sleeper.wake)
          resolve()
        },
      }
      signal.addEventListener('abort', sleeper.wake)
      this.#sleepers.add(sleeper)
    })
  }

  /** Time stands still until the work is done, or abandoned. */
  during<T>(work: Promise<T>, abandoned?: AbortSignal): Promise<T> {
    const counted = Promise.race([work, abandonment(abandoned)]).finally(() => this.#work.delete(counted))
    this.#work.add(counted)
    counted.catch(() => {})
    return work
  }

  /** Lets the work end that there is; then, on to the next moment for which somebody waits. False when nobody does. */
  async pass(latest = Number.POSITIVE_INFINITY): Promise<boolean> {
    await this.quiet()
    const next = Math.min(...[...this.#sleepers].map(({ time }) => time))
    if (next > latest || next === Number.POSITIVE_INFINITY) return false
    vi.setSystemTime(Math.max(next, Date.now()))
    for (const sleeper of [...this.#sleepers]) if (sleeper.time <= next) sleeper.wake()
    await this.quiet()
    return true
  }

  async quiet(): Promise<void> {
    do {
      await setImmediate()
      await Promise.allSettled([...this.#work])
      await setImmediate()
    } while (this.#work.size > 0)
  }

  close(): void {
    this.#isClosed = true
    globalThis.setTimeout = this.#setTimeout
    vi.useRealTimers()
  }
}

function abandonment(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    const abandon = () => reject(new Error('abandoned'))
    if (signal?.aborted) return abandon()
    signal?.addEventListener('abort', abandon, { once: true })
  })
}
