import { some } from '../lib/release/reasons.ts'
import type { Tally } from '../lib/release/tally.ts'
import type { Ground, RolloutEffects } from './rollout-effects.ts'

/**
 * Brings the whole fleet to the release that is current: who was told to switch puts its previous one back, and
 * whoever then serves anything else catches up. Gives the reason when it is not on one release afterwards.
 */
export async function bringBack(
  effects: RolloutEffects,
  ground: Ground,
  current: string | null,
  { tally, others }: { tally: Tally; others: readonly string[] },
): Promise<string | undefined> {
  const run = async (name: string, action: 'revert' | 'catch-up', targets: readonly string[]) => {
    const limits = { allowed: Number.POSITIVE_INFINITY, mustSucceed: false }
    tally.note(await effects.run(ground, { name, targets, action, limits }))
  }
  const touched = [...tally.touched]
  const all = [...new Set([...touched, ...others])]

  // Where the release that failed is the current one, its predecessor is nothing to go back to.
  if (current !== ground.desired.release) await run('roll back', 'revert', touched)
  // Who said nothing since it was told to switch may serve anything.
  if (current !== null) await run('bring together', 'catch-up', tally.elsewhere(all, current))
  const astray = tally.elsewhere(all, current)
  if (astray.length === 0) return undefined
  const shown = astray.map((target) => `${target} serves ${tally.serves.get(target) ?? 'nothing known'}`)
  return `${astray.length} of ${all.length} are not on ${current ?? 'nothing'}: ${some(shown, '; ')}`
}
