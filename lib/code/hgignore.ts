import { posix } from 'node:path'
import { UserError } from '../user-error.ts'

type Syntax = 'regexp' | 'glob' | 'rootglob'

const SYNTAXES: Record<string, Syntax> = {
  re: 'regexp',
  regexp: 'regexp',
  relre: 'regexp',
  glob: 'glob',
  relglob: 'glob',
  rootglob: 'rootglob',
}

/** The patterns of a .hgignore, as `hg help hgignore` describes them. */
export function parseHgignore(text: string, file: string): (path: string) => boolean {
  const patterns: RegExp[] = []
  let syntax: Syntax = 'regexp'
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/(^|[^\\])#.*/, '$1').trimEnd()
    if (!line) continue
    const [, chosen] = line.match(/^syntax:\s*(\w+)$/) ?? []
    const [, prefix = '', rest = ''] = line.match(/^(\w+):(.*)$/) ?? []
    const where = `${file}, line ${index + 1}`
    if (chosen) syntax = syntaxOf(chosen, where)
    else if (prefix.endsWith('include')) syntaxOf(prefix, where)
    else if (SYNTAXES[prefix]) patterns.push(compile(rest, SYNTAXES[prefix], where))
    else patterns.push(compile(line, syntax, where))
  }
  return (path) => patterns.some((pattern) => pattern.test(path.replace(/\/$/, '')))
}

function syntaxOf(name: string, where: string): Syntax {
  const syntax = SYNTAXES[name]
  if (syntax) return syntax
  throw new UserError(
    `${where}: "${name}" is no syntax known here; known: ${Object.keys(SYNTAXES).join(', ')}`,
  )
}

function compile(pattern: string, syntax: Syntax, where: string): RegExp {
  try {
    if (syntax === 'regexp') return new RegExp(pattern)
    return new RegExp(`^${syntax === 'glob' ? '(?:.*/)?' : ''}${globToRegExp(plain(pattern))}(?:/|$)`)
  } catch (error) {
    throw new UserError(`${where}: the pattern cannot be read (${(error as Error).message})`, {
      cause: error,
    })
  }
}

function plain(glob: string): string {
  return posix.normalize(glob).replace(/\/$/, '')
}

const TOKENS = /\*\*\/|\*\*|\*|\?|\[!?\]?[^\]]*\]|\{|\}|,|\\.|[.+^$()|[\]\\]/g
const MEANINGS: Record<string, string> = {
  '**/': '(?:.*/)?',
  '**': '.*',
  '*': '[^/]*',
  '?': '.',
  '{': '(?:',
}

function globToRegExp(glob: string): string {
  let groups = 0
  return glob.replace(TOKENS, (token) => {
    if (token === '{') groups += 1
    if (token === ',') return groups > 0 ? '|' : ','
    if (token === '}') return groups-- > 0 ? ')' : '\\}'
    if (token.startsWith('[') && token.length > 1) return classOf(token)
    if (token.startsWith('\\') && token.length > 1) return token
    return MEANINGS[token] ?? `\\${token}`
  })
}

function classOf(token: string): string {
  const [, not = '', members = ''] = token.match(/^\[(!?)(.*)\]$/s) ?? []
  return `[${not && '^'}${members.replace(/[\\[\]^]/g, '\\$&')}]`
}
