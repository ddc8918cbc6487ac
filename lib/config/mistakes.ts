import type { z } from 'zod'
import { UserError } from '../user-error.ts'
import { closestTo } from './closest.ts'

/** One thing wrong in a configuration file. */
export interface Mistake {
  /** As in TOML, with indexes: `environments.staging.guestbook.waves[1]`. */
  path: string
  what: string
}

type Path = readonly PropertyKey[]

export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    const name = /^[\w-]+$/.test(String(key)) ? String(key) : JSON.stringify(key)
    return text ? `${text}.${name}` : name
  }, '')
}

/** The keys of the table at a path, which is below the table that is read. */
export type KeysAt = (path: Path) => readonly string[]

/** What zod found, in words for the person who wrote the file. */
export function schemaMistakes(error: z.ZodError, prefix: Path, keysAt: KeysAt): Mistake[] {
  return error.issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path]
    if (issue.code !== 'unrecognized_keys') return [{ path: formatPath(path), what: issue.message }]
    return issue.keys.map((key) => unknownKey([...path, key], keysAt(issue.path)))
  })
}

export function unknownKey(path: Path, knownKeys: readonly string[]): Mistake {
  const key = String(path.at(-1))
  const closest = closestTo(key, knownKeys)
  const hint = closest ? `did you mean "${closest}"?` : `known keys: ${knownKeys.join(', ')}`
  return { path: formatPath(path), what: `unknown key; ${hint}` }
}

/** All mistakes at once: mending one only to meet the next wastes a round. */
export function refuseMistakes(file: string, mistakes: readonly Mistake[]): void {
  if (mistakes.length === 0) return
  const lines = mistakes.map(({ path, what }) => (path ? `${path}: ${what}` : what))
  const count = lines.length === 1 ? '1 mistake' : `${lines.length} mistakes`
  throw new UserError([`${file}: ${count}`, ...lines].join('\n'))
}
