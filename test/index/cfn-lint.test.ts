import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import { afterAll, expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { PybundleStack } from '../../lib/stack/pybundle-stack.ts'
import { pip } from '../examples/python.ts'
import { templateApp } from '../stack/template-app.ts'
import { indexSettings, mayUseIndex } from './package-index.ts'

const CFN_LINT = 'cfn-lint==1.58.0'
const ROOT = join(import.meta.dirname, '../..')

const mayRun = await mayUseIndex('that cfn-lint finds nothing in the template')
const folder = mkdtempSync(join(tmpdir(), 'pybundle-cfn-lint-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.runIf(mayRun)('cfn-lint has nothing to say of the template', { timeout: 300_000 }, async () => {
  const outdir = join(folder, 'cdk.out')
  const app = templateApp({ outdir })
  const fleets = parseFleets(readFileSync(join(ROOT, 'fleets.toml'), 'utf8'), 'fleets.toml')
  new PybundleStack(app, 'Pybundle', { fleets })
  app.synth()
  const packages = join(folder, 'packages')
  await pip(['install', '--target', packages, CFN_LINT], folder, 'python3', indexSettings())
  const template = join(outdir, 'Pybundle.template.json')
  const linted = await execa(join(packages, 'bin/cfn-lint'), [template], {
    cwd: ROOT, // where .cfnlintrc.yaml says what is not looked at, and why
    env: { PYTHONPATH: packages },
    reject: false,
  })
  expect(linted.stdout + linted.stderr).toBe('')
  expect(linted.exitCode).toBe(0)
})
