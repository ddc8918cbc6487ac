import { parse, TomlError } from 'smol-toml'
import { UserError } from '../user-error.ts'

export function parseToml(text: string, file: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [what = 'is not TOML'] = error.message.replace('Invalid TOML document: ', '').split('\n')
    throw new UserError(`${file}:${error.line}:${error.column}: ${what}\n${error.codeblock}`, {
      cause: error,
    })
  }
}
