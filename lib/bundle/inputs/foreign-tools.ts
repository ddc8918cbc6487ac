import { UserError } from '../../user-error.ts'
import { normalizeName } from '../wheel.ts'
import type { InputLines } from './inputs.ts'
import type { Pyproject } from './pyproject-file.ts'
import { nameOf } from './requirement-name.ts'

export const POETRY_EXPORT =
  'Name a file that it writes:\n  poetry export --format requirements.txt --output requirements.txt'

/** What one tool alone reads: pip would choose other versions, or look in an index for what is elsewhere. */
export function refuseForeign({ tool }: Pyproject, lines: InputLines['lines'], file: string): void {
  const { sources = {}, ...settings } = tool?.uv ?? {}
  const elsewhere = Object.entries(tool?.poetry?.dependencies ?? {})
    .filter(([, told]) => PLACES.some((key) => typeof told === 'object' && told !== null && key in told))
    .map(([name]) => name)
  const [inPoetry = '', inUv = ''] = [elsewhere, Object.keys(sources)].map((names) => namedIn(lines, names))
  const read = SETTINGS.filter((key) => key in settings).join(', ')
  if (inPoetry)
    throw new UserError(
      `${file}: [tool.poetry.dependencies] says where ${inPoetry} comes from, which only Poetry reads. ${POETRY_EXPORT}`,
    )
  if (!inUv && !read) return
  const what = inUv ? `[tool.uv.sources] says where ${inUv} comes from` : `[tool.uv] has ${read}`
  throw new UserError(`${file}: ${what}, which only uv reads. Name "uv.lock" as the requirements.`)
}

const PLACES = ['git', 'path', 'url', 'file', 'source']
const SETTINGS = ['index', 'index-url', 'extra-index-url', 'constraint-dependencies', 'override-dependencies']

function namedIn(lines: InputLines['lines'], names: readonly string[]): string {
  const known = names.map(normalizeName)
  return lines
    .map(({ text }) => nameOf(text))
    .filter((name) => known.includes(name))
    .join(', ')
}
