import { setTimeout } from 'node:timers/promises'

/** Longer delays make Node's timers fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

/** Resolves at that time, or as soon as the signal is given. */
export type SleepUntil = (time: Date, signal: AbortSignal) => Promise<void>

/** By the wall clock. */
export const sleepUntil: SleepUntil = async (time, signal) => {
  for (;;) {
    const left = time.getTime() - Date.now()
    if (left <= 0 || signal.aborted) return
    await setTimeout(Math.min(left, LONGEST_DELAY_MS), undefined, { signal }).catch(() => {})
  }
}
