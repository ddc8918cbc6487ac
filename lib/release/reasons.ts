import type { FleetPolicy } from './fleet.ts'

/** What a record says of a fleet in which something failed: how many, and the first few by name. */

export function noTargets({ environment, app, tags }: FleetPolicy): string {
  const wanted = Object.entries(tags).map(([key, value]) => `${key}=${value}`)
  return `No target of ${app} in ${environment} is online: SSM knows no running instance tagged ${wanted.join(', ')}.`
}

export function silentAgents(targets: readonly string[], total: number): string {
  return `${targets.length} of ${total} run, but their agents are silent: ${some(targets)}`
}

export function toleratedFailures(targets: readonly string[]): string {
  return `${targets.length} failed, as many as may: ${some(targets)}. They catch up by themselves, or with the next rollout.`
}

const NAMED = 3

/** The first few of a list, and how many more there are. */
export function some(items: readonly string[], separator = ', '): string {
  const more = items.length > NAMED ? `${separator}and ${items.length - NAMED} more` : ''
  return `${items.slice(0, NAMED).join(separator)}${more}`
}
