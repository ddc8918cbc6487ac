import { z } from 'zod'
import type { AppScope } from '../../lib/release/keys.ts'
import { documentName } from '../../lib/release/names.ts'
import { UserError } from '../../lib/user-error.ts'
import type { LocalStack } from './local-stack.ts'

/** What a target has to be to belong to a fleet. */
export interface FleetSettings {
  tags: Record<string, string>
  base: string
  envFile: string
}

const literals = z.object({ base: z.string(), env_file: z.string().nullable() })

export function hasFleet({ documents }: LocalStack, { environment, app }: AppScope): boolean {
  return documents.some(({ name }) => name === documentName(environment, app))
}

/** Read from what would be deployed: the tags of the document's association, the document's own literals. */
export function fleetSettings(stack: LocalStack, environment: string, app: string): FleetSettings {
  const name = documentName(environment, app)
  const association = stack.associations.find(({ Name }) => Name === name)
  const document = stack.documents.find((known) => known.name === name)
  if (!association || !document) {
    const known = stack.documents.map((each) => each.name).join(', ') || 'none'
    throw new UserError(
      `The template has no fleet of "${app}" in "${environment}" (its documents: ${known}). Add it to fleets.toml.`,
    )
  }
  const { base, env_file } = literals.parse(JSON.parse(configOf(document.content)))
  const tags = association.Targets.filter(({ Key }) => Key.startsWith('tag:'))
  return {
    tags: Object.fromEntries(tags.map(({ Key, Values }) => [Key.slice('tag:'.length), Values[0] ?? ''])),
    base,
    envFile: env_file ?? `${base}/${app}/shared/.env`,
  }
}

const content = z.object({
  mainSteps: z.array(z.object({ inputs: z.object({ runCommand: z.array(z.string()) }) })),
})
const CONFIG = /^export PYBUNDLE_CONFIG='(.*)'$/

/** The operator's values are a line of the document's script, in the quotes of a shell. */
function configOf(given: Record<string, unknown>): string {
  const lines = content.parse(given).mainSteps.flatMap(({ inputs }) => inputs.runCommand)
  const quoted = lines.map((line) => CONFIG.exec(line)?.[1]).find((found) => found !== undefined)
  return (quoted ?? '{}').replaceAll(`'\\''`, "'")
}
