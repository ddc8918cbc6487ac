import { z } from 'zod'
import { formatPath, type KeysAt, type Mistake, schemaMistakes } from './mistakes.ts'

/** What a rule found wrong, below its table. */
export interface Broken {
  key: (string | number)[]
  what: string
}

/** What a schema cannot say about the values of some keys. */
export interface Rule<T> {
  keys: readonly (keyof T)[]
  check: (content: T) => Broken[]
}

/** The check sees only the keys that it names: a rule stands back where one of them is wrong already. */
export function rule<T>() {
  return <K extends keyof T>(keys: readonly K[], check: (content: Pick<T, K>) => Broken[]): Rule<T> => ({
    keys,
    check,
  })
}

export interface TableReading<S extends z.ZodObject> {
  schema: S
  rules: readonly Rule<z.infer<S>>[]
  /** Of the table in its file. */
  prefix: readonly string[]
  keysAt: KeysAt
}

/** Schema and rules, all mistakes together; a value only where there is none. */
export function readTable<S extends z.ZodObject>(
  content: unknown,
  { schema, rules, prefix, keysAt }: TableReading<S>,
): { value?: z.infer<S>; mistakes: Mistake[] } {
  const parsed = schema.safeParse(content)
  const sound = parsed.success ? parsed.data : soundValues(schema, content)
  const broken = rules
    .filter(({ keys }) => parsed.success || keys.every((key) => key in sound))
    .flatMap(({ check }) => check(sound as z.infer<S>))
    .map(({ key, what }) => ({ path: formatPath([...prefix, ...key]), what }))
  if (parsed.success) return { value: parsed.data, mistakes: broken }
  return { mistakes: [...schemaMistakes(parsed.error, prefix, keysAt), ...broken] }
}

function soundValues(schema: z.ZodObject, content: unknown): Record<string, unknown> {
  if (typeof content !== 'object' || content === null) return {}
  const values = new Map(Object.entries(content))
  return Object.fromEntries(
    Object.entries(schema.shape).flatMap(([key, type]) => {
      const parsed = z.safeParse(type, values.get(key))
      return parsed.success ? [[key, parsed.data]] : []
    }),
  )
}
