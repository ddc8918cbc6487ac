import type { FleetConfig } from './fleets.ts'
import { formatPath, type Mistake } from './mistakes.ts'

/** A target runs an app for one environment: fleets of the same app, of which one's tags select the other's targets too. */
export function sharedTargets(fleets: readonly FleetConfig[]): Mistake[] {
  return fleets.flatMap((wide) =>
    fleets
      .filter((narrow) => narrow !== wide && narrow.app === wide.app && includesTags(narrow.tags, wide.tags))
      .map((narrow) => ({
        path: formatPath(['environments', wide.environment, wide.app, 'tags']),
        what: `select the targets of ${narrow.environment}, too: add a tag that only those of ${wide.environment} have`,
      })),
  )
}

function includesTags(tags: FleetConfig['tags'], some: FleetConfig['tags']): boolean {
  return Object.entries(some).every(([key, value]) => tags[key] === value)
}
