import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { execaSync } from 'execa'
import { afterAll } from 'vitest'
import { pip } from '../examples/python.ts'

/** There a test that needs the index must run: an index that does not answer is a failure. */
const mustRun = process.env.CI === 'true'

/** What this machine tells pip of indexes, without its folders of wheels. */
export function indexSettings(environment = process.env): NodeJS.ProcessEnv {
  const { PIP_FIND_LINKS: _, PIP_NO_INDEX: __, ...settings } = environment
  return settings
}

/** Whether tests that need a real package index are to run; says loudly what is not tested otherwise. */
export async function mayUseIndex(what: string): Promise<boolean> {
  if (mustRun) return true
  const folder = folderOfThisFile()
  const download = ['download', '--no-deps', '--retries', '0', '--timeout', '3', '--dest', folder, 'humanize']
  const answers = await succeeds(pip(download, folder, 'python3', indexSettings()))
  if (!answers) console.warn(`SKIPPED: no package index answers, so ${what} is not tested here`)
  return answers
}

/** A PATH with uv on it: the machine's own, or else the index's. Undefined where neither has one. */
export async function pathWithUv(what: string): Promise<string | undefined> {
  const path = process.env.PATH ?? ''
  if (execaSync('uv', ['--version'], { reject: false }).exitCode === 0) return path
  const folder = folderOfThisFile()
  const install = ['install', '--no-deps', '--only-binary=:all:', '--retries', '0', '--target', folder, 'uv']
  const installed = pip(install, folder, 'python3', indexSettings())
  if (mustRun) await installed
  if (await succeeds(installed)) return [join(folder, 'bin'), path].join(delimiter)
  console.warn(`SKIPPED: no uv on the PATH and none from a package index, so ${what} is not tested here`)
  return undefined
}

function folderOfThisFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pybundle-index-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function succeeds(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  )
}
