import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findInterpreter } from '../../bench/find-interpreter.ts'
import { PROGRAM_PARTS } from '../../lib/stack/program-documents.ts'
import { asOrdinaryUser } from './target.ts'
import { Workshop } from './workshop.ts'

const VERSIONS = ['3.8', '3.9', '3.10', '3.11', '3.12', '3.13', '3.14']

function run(python: string, args: string[]) {
  return spawnSync(python, args, { encoding: 'utf8', env: { PATH: process.env.PATH } })
}

const interpreters = VERSIONS.map((version) => ({ version, python: findInterpreter(version) }))
for (const { version, python } of interpreters) {
  if (!python) console.warn(`python${version} is not on this machine: the target program was not tried on it`)
}

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open('interpreters')
})
afterAll(() => workshop.close())

describe.each(interpreters)('Python $version', ({ version, python }) => {
  it.skipIf(!python)('compiles the program without a warning, and tells its status', async () => {
    for (const part of ['target', ...PROGRAM_PARTS]) {
      const compile = `import pathlib; compile(pathlib.Path("target/pybundle_${part}.py").read_text(), "it", "exec")`
      expect(run(python ?? '', ['-W', 'error', '-c', compile]).stderr).toBe('')
    }
    const target = await workshop.newTarget()
    target.runAs(python ?? '', await asOrdinaryUser())
    expect((await target.run('status')).verdict).toMatchObject({ outcome: 'done', current: null })
  })

  it.skipIf(!python)('deploys with it, with bytecode of its own', async () => {
    const target = await workshop.newServingTarget()
    target.runAs(python ?? '', await asOrdinaryUser())
    const release = await workshop.publishApp({}, { platform: { python: version } })
    const { verdict } = await target.deploy(release)
    expect(verdict).toMatchObject({ outcome: 'done', current: release.id })
    const bytecode = `lib/python${version}/site-packages/alpha/__pycache__/*.cpython-*.pyc`
    expect(globSync(bytecode, { cwd: target.path('releases', release.id, '.venv') })).toHaveLength(1)
  })
})
