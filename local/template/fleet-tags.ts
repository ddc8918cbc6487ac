import { documentName } from '../../lib/release/names.ts'
import { UserError } from '../../lib/user-error.ts'
import type { LocalStack } from './local-stack.ts'

/** The tags by which an app's targets in an environment are found: those of its document's association. */
export function fleetTags(stack: LocalStack, environment: string, app: string): Record<string, string> {
  const association = stack.associations.find(({ Name }) => Name === documentName(environment, app))
  if (!association) {
    const known = stack.associations.map(({ Name }) => Name).join(', ') || 'none'
    throw new UserError(
      `The template has no fleet of "${app}" in "${environment}"; its documents: ${known}. Add it to fleets.toml.`,
    )
  }
  const tags = association.Targets.filter(({ Key }) => Key.startsWith('tag:'))
  return Object.fromEntries(tags.map(({ Key, Values }) => [Key.slice('tag:'.length), Values[0] ?? '']))
}
