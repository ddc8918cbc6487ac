import { execFile } from 'node:child_process'
import { globSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { downloadWheels } from '../../bench/target/wheels.ts'
import { offline } from '../examples/python.ts'
import { differencesFromPip } from './pip-virtualenv.ts'
import { thisPython } from './this-python.ts'
import { Workshop } from './workshop.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'pybundle-real-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const { executable } = await thisPython()
/** The newest of each way in which pip has ever written scripts. */
const pips = ['pip==25.0.1', 'pip==25.3', 'pip']

// In CI it must run: there an index that does not answer is a failure.
const mayRun =
  process.env.CI === 'true' ||
  (await download('pip', '--timeout', '3', '--retries', '0').then(Boolean, () => false))
if (!mayRun)
  console.warn('SKIPPED: no package index answers, so real wheels are not compared with pip’s result')

describe.skipIf(!mayRun)('a virtualenv of links to real wheels', () => {
  let workshop: Workshop
  let wheelFiles: string[]
  beforeAll(async () => {
    workshop = await Workshop.open('real')
    wheelFiles = (await downloadWheels(executable, join(folder, 'wheels'))).before
  }, 600_000)
  afterAll(() => workshop.close())

  it.each(pips)(
    'is, file by file, the one that %s makes; is sound to it, and can be uninstalled',
    async (asked) => {
      const pip = await download(asked)
      const target = await workshop.newTarget()

      expect(wheelFiles.length).toBeGreaterThanOrEqual(40)
      expect(await differencesFromPip(workshop, target, { wheelFiles, pip })).toEqual({})
      expect(target.read('log/deploy.log')).not.toContain('installing with pip')

      const [id = ''] = readdirSync(target.path('venvs'))
      const python = target.path('venvs', id, 'bin/python')
      const inside = (...args: string[]) =>
        run(python, [target.path('pip/pip/pip'), ...args], { env: offline })
      expect((await inside('check')).stdout).toContain('No broken requirements found.')
      const frozen = (await inside('freeze', '--all')).stdout.trim().split('\n')
      await inside('uninstall', '--yes', ...frozen.map((line) => line.split('==')[0] ?? ''))
      expect(globSync('lib/python*/site-packages/*', { cwd: target.path('venvs', id) })).toEqual([])
      rmSync(target.root, { recursive: true })
    },
    600_000,
  )
})

async function download(what: string, ...options: string[]): Promise<string> {
  const to = join(folder, what)
  const { PIP_FIND_LINKS: _, ...env } = process.env
  await run(executable, ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', to, ...options, what], {
    env,
  })
  return globSync(join(to, '*.whl'))[0] ?? ''
}
