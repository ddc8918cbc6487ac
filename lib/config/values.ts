import { z } from 'zod'
import { NAME_PATTERN, NAME_RULE } from '../release/names.ts'

/** The kinds of value that both configuration files are made of, with the sentences their mistakes get. */

/** zod says "expected string, received undefined" of a key that is not there. */
const missingOr =
  (what: string) =>
  ({ input }: { input?: unknown }) =>
    input === undefined ? `is missing; ${what}` : `${what}, not ${JSON.stringify(input)}`

export const text = (what: string) =>
  z.string({ error: missingOr(`must be ${what}`) }).min(1, `must be ${what}, not ""`)

export const name = (what: string) => text(what).regex(NAME_PATTERN, `is not a name: ${NAME_RULE}`)

export const wholeNumber = (what: string, { least = 0, most = 86_400 } = {}) => {
  const error = missingOr(`must be ${what}: a whole number, ${least} to ${most}`)
  return z.number({ error }).int({ error }).min(least, { error }).max(most, { error })
}

export const listOf = <T extends z.ZodType>(item: T, what: string) =>
  z.array(item, { error: missingOr(`must be a list of ${what}`) })

export const table = <T extends z.ZodRawShape>(shape: T) =>
  z.strictObject(shape, {
    error: (issue) => (issue.code === 'invalid_type' ? 'must be a table' : undefined),
  })
