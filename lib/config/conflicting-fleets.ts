import { documentName } from '../release/names.ts'
import type { FleetConfig } from './fleets.ts'
import { formatPath, type Mistake } from './mistakes.ts'

/** What is wrong with fleets together that each may be by itself. */
export function conflictingFleets(fleets: readonly FleetConfig[]): Mistake[] {
  return fleets.flatMap((fleet, index) => [
    ...sharedTargets(fleet, fleets),
    ...sharedName(fleet, fleets.slice(0, index)),
  ])
}

/** A target runs an app for one environment. */
function sharedTargets(fleet: FleetConfig, fleets: readonly FleetConfig[]): Mistake[] {
  return fleets
    .filter((other) => other !== fleet && other.app === fleet.app && includesTags(other.tags, fleet.tags))
    .map((other) => ({
      path: pathOf(fleet, 'tags'),
      what: `select the targets of ${other.environment}, too: add a tag that only those of ${fleet.environment} have`,
    }))
}

function sharedName(fleet: FleetConfig, before: readonly FleetConfig[]): Mistake[] {
  const name = documentName(fleet.environment, fleet.app)
  return before
    .filter(({ environment, app }) => documentName(environment, app) === name)
    .map((other) => ({
      path: pathOf(fleet),
      what: `has the same document, ${name}, as ${pathOf(other)}: call one of them otherwise`,
    }))
}

function includesTags(tags: FleetConfig['tags'], some: FleetConfig['tags']): boolean {
  return Object.entries(some).every(([key, value]) => tags[key] === value)
}

const pathOf = ({ environment, app }: FleetConfig, ...key: string[]) =>
  formatPath(['environments', environment, app, ...key])
