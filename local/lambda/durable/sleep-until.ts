import { setTimeout } from 'node:timers/promises'

/** Longer delays make Node's timers fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1

/** Resolves at that time by the wall clock, or as soon as the signal is given. */
export async function sleepUntil(time: Date, signal: AbortSignal): Promise<void> {
  for (;;) {
    const left = time.getTime() - Date.now()
    if (left <= 0 || signal.aborted) return
    await setTimeout(Math.min(left, LONGEST_DELAY_MS), undefined, { signal }).catch(() => {})
  }
}
