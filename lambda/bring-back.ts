import type { PhaseResult } from '../lib/release/progress.ts'
import type { Ground, RolloutEffects } from './rollout-effects.ts'

export interface FleetInBetween {
  /** Whom the rollout has told to switch, or may have. */
  touched: readonly string[]
  /** Whoever else is of the fleet and can be told something. */
  others: readonly string[]
  /** What each said last that it serves. */
  serves: Readonly<Record<string, string | null>>
}

/**
 * Brings the whole fleet to the release that is current: who switched puts its previous one back, and whoever
 * then serves anything else catches up. Gives the reason when it is not on one release afterwards.
 */
export async function bringBack(
  effects: RolloutEffects,
  ground: Ground,
  current: string | null,
  { touched, others, serves }: FleetInBetween,
): Promise<string | undefined> {
  const run = (name: string, action: 'revert' | 'catch-up', targets: readonly string[]) =>
    effects.run(ground, {
      name,
      targets,
      action,
      limits: { allowed: Number.POSITIVE_INFINITY, mustSucceed: false },
    })
  const all = [...new Set([...touched, ...others])]
  const known = new Map(Object.entries(serves))
  const gone = new Set<string>()
  const note = (result: PhaseResult) => {
    for (const [target, release] of Object.entries(result.serves)) known.set(target, release)
    for (const target of result.failed) if (!(target in result.serves)) known.delete(target)
    for (const target of result.gone) gone.add(target)
    return result
  }
  const isElsewhere = (target: string) => !gone.has(target) && known.get(target) !== current

  // Where the release that failed is the current one, its predecessor is nothing to go back to.
  if (current !== ground.desired.release) note(await run('roll back', 'revert', touched))
  // Who said nothing since it was told to switch may serve anything.
  if (current !== null) note(await run('bring together', 'catch-up', all.filter(isElsewhere)))
  const astray = all.filter(isElsewhere)
  if (astray.length === 0) return undefined
  const shown = astray.slice(0, 3).map((target) => `${target} serves ${known.get(target) ?? 'nothing known'}`)
  const more = astray.length > 3 ? ` and ${astray.length - 3} more` : ''
  return `${astray.length} of ${all.length} are not back on ${current ?? 'nothing'}: ${shown.join('; ')}${more}`
}
