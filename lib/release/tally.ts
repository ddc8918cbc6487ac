import type { PhaseResult } from './progress.ts'

/** What the phases of a rollout have told of its targets so far; a replay tells it again. */
export class Tally {
  readonly failed = new Set<string>()
  /** Told to switch, by this execution or one before it. */
  readonly touched = new Set<string>()
  readonly activated = new Set<string>()
  /** Stopped or terminated, when last heard of. */
  readonly gone = new Set<string>()
  /** What each said last that it serves; who is not in here may serve anything. */
  readonly serves = new Map<string, string | null>()

  note<Result extends PhaseResult>(result: Result): Result {
    for (const [target, release] of Object.entries(result.serves)) {
      this.serves.set(target, release)
      this.gone.delete(target)
    }
    for (const target of result.gone) this.gone.add(target)
    for (const target of result.failed) {
      this.failed.add(target)
      // What it served before is no word on what it serves now.
      if (!(target in result.serves)) this.serves.delete(target)
    }
    return result
  }

  /** Who is there and does not serve this release, or has not said so. */
  elsewhere(targets: readonly string[], release: string | null): string[] {
    return targets.filter((target) => !this.gone.has(target) && this.serves.get(target) !== release)
  }
}
