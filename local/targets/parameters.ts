import { z } from 'zod'

/** The parameters of a document, treated as the agent treats them: as text, with no quoting whatever. */

export const parameterDefinitions = z.record(
  z.string(),
  z.object({
    type: z.string(),
    default: z.unknown().optional(),
    allowedPattern: z.string().optional(),
    interpolationType: z.string().optional(),
  }),
)
export type ParameterDefinitions = z.infer<typeof parameterDefinitions>
export type ParameterValues = Record<string, unknown>

const VALID_NAME = /^[a-zA-Z0-9]+$/

/** A value of an invalid name is dropped, silently, and the default used. */
export function completeParameters(
  definitions: ParameterDefinitions,
  given: ParameterValues,
): ParameterValues {
  const valid = Object.entries(given).filter(([name]) => VALID_NAME.test(name))
  const defaults = Object.entries(definitions).map(([name, { default: value }]) => [name, value])
  return { ...Object.fromEntries(defaults), ...Object.fromEntries(valid) }
}

/** Associations hold every value as a list. */
export function unlistParameters(
  definitions: ParameterDefinitions,
  given: Record<string, string[]>,
): ParameterValues {
  const known = Object.entries(given).filter(([name]) => definitions[name])
  return Object.fromEntries(
    known.map(([name, values]) => [name, definitions[name]?.type === 'StringList' ? values : values[0]]),
  )
}

/** Why the document cannot run with these values. */
export function objectionTo(definitions: ParameterDefinitions, values: ParameterValues): string | undefined {
  for (const [name, { allowedPattern }] of Object.entries(definitions)) {
    if (!allowedPattern) continue
    const pattern = new RegExp(allowedPattern)
    const stray = [values[name]].flat().find((value) => !pattern.test(toText(value)))
    if (stray !== undefined) return objection(toText(stray), allowedPattern)
  }
  return undefined
}

function objection(value: string, pattern: string): string {
  return (
    "all errors during param validation errors: error thrown in 'AllowedRegexParamValidator' while validating " +
    `parameter value /${value}/ does not match the allowed pattern /${pattern}/`
  )
}

/** Puts the values wherever `{{ name }}` stands, at any depth; a value is not searched again. */
export function substitute(input: unknown, values: ParameterValues): unknown {
  if (typeof input === 'string') return substituteText(input, values)
  if (Array.isArray(input)) return input.map((item) => substitute(item, values))
  if (typeof input !== 'object' || input === null) return input
  return Object.fromEntries(Object.entries(input).map(([key, value]) => [key, substitute(value, values)]))
}

/** A text that is nothing but a parameter becomes its value, a list too. */
function substituteText(text: string, values: ParameterValues): unknown {
  const whole = /^{{\s*([a-zA-Z0-9]+)\s*}}$/.exec(text)?.[1]
  if (whole !== undefined && Object.hasOwn(values, whole)) return values[whole]
  return text.replace(/{{\s*(\w+)\s*}}/g, (token, name: string) =>
    Object.hasOwn(values, name) ? toText(values[name]).replaceAll('$$', '$') : token,
  )
}

/** What agents since 3.3.2746 give the steps of a parameter with `interpolationType: ENV_VAR`. */
export function environmentOf(
  definitions: ParameterDefinitions,
  values: ParameterValues,
): Record<string, string> {
  const named = Object.entries(definitions).filter(
    ([, { interpolationType }]) => interpolationType === 'ENV_VAR',
  )
  return Object.fromEntries(named.map(([name]) => [`SSM_${name}`, toText(values[name])]))
}

function toText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}
