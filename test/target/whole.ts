import { existsSync, globSync, readlinkSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect } from 'vitest'
import { listing } from './pip-virtualenv.ts'
import type { TestTarget } from './target.ts'

export type Files = Record<string, string | number>

/** All but what tells of time, logs and locks; of bytecode, which does too, how much there is. */
export function filesOf(target: TestTarget): Files {
  // Not even looked at: what a killed command had started lives on, and writes there while we look.
  const files = Object.entries(listing(target.home, ['log', 'state']))
  const bytecode = globSync('**/*.pyc', { cwd: target.home })
  const sizes = bytecode.map((name) => [name, statSync(target.path(name)).size])
  return Object.fromEntries([...files, ...sizes])
}

export function served(target: TestTarget): string {
  return readlinkSync(target.path('current')).replace('releases/', '')
}

/** By its mark, which files of a folder are there then. */
const MARKED = {
  'releases/*/.pybundle-release.json': /./,
  'venvs/*/.ready': /./,
  'wheels/*/plan.json': /\/files\/.*(?<!\.pyc)$/,
  'wheels/*/cpython-*[0-9]': /\/files\/.*\.pyc$/,
}

/** What is marked as whole has each file that it ever has, and all that it is made of is marked too. */
export function expectMarkedToBeWhole(target: TestTarget, known: Files): void {
  const files = filesOf(target)
  for (const [marks, names] of Object.entries(MARKED)) {
    for (const folder of globSync(marks, { cwd: target.home }).map(dirname)) {
      const marked = (of: Files) =>
        Object.entries(of).filter(([name]) => name.startsWith(`${folder}/`) && names.test(name))
      expect(Object.fromEntries(marked(files))).toEqual(Object.fromEntries(marked(known)))
    }
  }
  for (const release of globSync('releases/*/.pybundle-release.json', { cwd: target.home })) {
    expect(existsSync(target.path(dirname(release), '.venv/.ready')), release).toBe(true)
  }
  for (const venv of globSync('venvs/*/.ready', { cwd: target.home })) {
    const { wheels } = JSON.parse(target.read(venv))
    expect(
      wheels.filter((wheel: string) => !target.has('wheels', wheel, 'plan.json')),
      venv,
    ).toEqual([])
  }
}
