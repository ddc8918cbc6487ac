import { existsSync, globSync, readlinkSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect } from 'vitest'
import { listing } from './pip-virtualenv.ts'
import type { TestTarget } from './target.ts'

export type Files = Record<string, string | number>

/** All but what tells of time, logs and locks; of bytecode, which does too, how much there is. */
export function filesOf(target: TestTarget): Files {
  const files = Object.entries(listing(target.home)).filter(
    ([name]) => !/^(log|state|shared\/pid)/.test(name),
  )
  const bytecode = globSync('**/*.pyc', { cwd: target.home })
  const sizes = bytecode.map((name) => [name, statSync(target.path(name)).size])
  return Object.fromEntries([...files, ...sizes])
}

export function served(target: TestTarget): string {
  return readlinkSync(target.path('current')).replace('releases/', '')
}

const MARKS = ['releases/*/.pybundle-release.json', 'venvs/*/.ready', 'wheels/*/plan.json']

/** What is marked as whole has each file that it ever has, and all that it is made of is marked too. */
export function expectMarkedToBeWhole(target: TestTarget, known: Files): void {
  const files = filesOf(target)
  const below = (folder: string, of: Files) =>
    Object.fromEntries(Object.entries(of).filter(([name]) => name.startsWith(`${folder}/`)))
  for (const mark of globSync(MARKS, { cwd: target.home })) {
    const folder = mark.replace(/\/[^/]+$/, mark.startsWith('wheels') ? '/files' : '')
    expect(below(folder, files)).toEqual(below(folder, known))
    if (mark.startsWith('releases')) expect(existsSync(target.path(dirname(mark), '.venv/.ready'))).toBe(true)
    if (mark.startsWith('venvs')) {
      for (const wheel of JSON.parse(target.read(mark)).wheels) {
        expect(target.has('wheels', wheel, 'plan.json'), `wheels/${wheel}/plan.json`).toBe(true)
      }
    }
  }
}
