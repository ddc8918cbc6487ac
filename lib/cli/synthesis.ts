import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { UserError } from '../user-error.ts'

/** What the synthesized stack is made of. */
const SOURCES = [
  'fleets.toml',
  'package-lock.json',
  'bin/app.ts',
  'lib/**/*.ts',
  'lambda/*.ts',
  'target/*.py',
]

/** Synthesizes the stack of a checkout unless it is there and newer than all that it is made of. */
export async function synthesize(checkout: string, report: (line: string) => void): Promise<string> {
  const assembly = join(checkout, 'cdk.out')
  if (isFresh(join(assembly, 'manifest.json'), checkout)) return assembly
  report('The stack is synthesized ...')
  const synthesis = await execa(process.execPath, ['bin/app.ts'], { cwd: checkout, all: true, reject: false })
  if (synthesis.failed) throw new UserError(`The stack could not be synthesized:\n${synthesis.all}`)
  return assembly
}

function isFresh(manifest: string, checkout: string): boolean {
  const made = changedAt(manifest)
  const sources = globSync(SOURCES, { cwd: checkout })
  return made > 0 && sources.every((source) => changedAt(join(checkout, source)) < made)
}

function changedAt(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
