import { parse, TomlError } from 'smol-toml'
import type { z } from 'zod'
import { UserError } from '../../user-error.ts'

/** The content of a file that another tool wrote. */
export function readToml<S extends z.ZodType>(schema: S, text: string, file: string): z.infer<S> {
  const parsed = schema.safeParse(parseToml(text, file))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new UserError(`${file}: ${issue?.path.join('.')}: ${issue?.message}`)
}

function parseToml(text: string, file: string): unknown {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    throw new UserError(`${file}:${error.line}:${error.column}: is not TOML`, { cause: error })
  }
}
