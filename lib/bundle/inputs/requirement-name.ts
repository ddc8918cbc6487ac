import { normalizeName } from '../wheel.ts'

/** Of what a requirement asks for, normalized. */
export function nameOf(requirement: string): string {
  return normalizeName(requirement.match(/^[\w.-]*\w/)?.[0] ?? '')
}
