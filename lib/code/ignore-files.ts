import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ignore, { type Ignore } from 'ignore'
import { parseHgignore } from './hgignore.ts'

/** What the .gitignore files of a folder, in any of its folders, and its .hgignore leave out. */
export function readIgnores(folder: string): (path: string) => boolean {
  const known = new Map<string, Ignore | undefined>()
  const rulesIn = (below: string) => {
    if (!known.has(below)) known.set(below, readGitignore(join(folder, below, '.gitignore')))
    return known.get(below)
  }
  const hgignore = join(folder, '.hgignore')
  const isHgIgnored = existsSync(hgignore)
    ? parseHgignore(readFileSync(hgignore, 'utf8'), hgignore)
    : () => false
  return (path) => isHgIgnored(path) || isGitIgnored(path, rulesIn)
}

function readGitignore(file: string): Ignore | undefined {
  return existsSync(file) ? ignore({ ignorecase: false }).add(readFileSync(file, 'utf8')) : undefined
}

/** The nearest file that says something about the path decides. */
function isGitIgnored(path: string, rulesIn: (below: string) => Ignore | undefined): boolean {
  const folders = path.replace(/\/$/, '').split('/').slice(0, -1)
  for (let depth = folders.length; depth >= 0; depth -= 1) {
    const below = folders.slice(0, depth).join('/')
    const said = rulesIn(below)?.test(below ? path.slice(below.length + 1) : path)
    if (said?.ignored) return true
    if (said?.unignored) return false
  }
  return false
}
