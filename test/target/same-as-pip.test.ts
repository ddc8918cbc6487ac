import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Wheel } from './artifacts.ts'
import { differencesFromPip } from './pip-virtualenv.ts'
import { pythonOutput } from './target.ts'
import { project, Workshop } from './workshop.ts'

let workshop: Workshop
beforeAll(async () => {
  workshop = await Workshop.open('same')
})
afterAll(() => workshop.close())

const ENTRY_POINTS = `
[console_scripts]
tea = alpha.cli:main
tea-pot=alpha.cli:Pot.pour [extra]
# nothing
[gui_scripts]
tea.window = alpha:show

[pytest11]
alpha = alpha.plugin
`

/** What has ever been special about a wheel, one each. */
const WHEELS: Wheel[] = [
  {
    name: 'entry_points',
    version: '1.0',
    files: { 'alpha/__init__.py': '', 'entry_points-1.0.dist-info/entry_points.txt': ENTRY_POINTS },
  },
  {
    name: 'Other.Places',
    version: '1.0',
    executable: ['Other.Places-1.0.data/scripts/pour', 'Other.Places-1.0.data/scripts/plain', 'beta/run'],
    files: {
      'beta/__init__.py': '',
      'beta/run': '#!/bin/sh\n',
      'Other.Places-1.0.data/scripts/pour': '#!python\nprint("tea")\n',
      'Other.Places-1.0.data/scripts/window': '#!pythonw -E\nprint("tea")\n',
      'Other.Places-1.0.data/scripts/plain': '#!/bin/sh\necho tea\n',
      'Other.Places-1.0.data/scripts/nobody.py': 'print("tea")\n',
      'Other.Places-1.0.data/data/share/man/man1/tea.1': 'tea',
      'Other.Places-1.0.data/headers/tea.h': '',
      'Other.Places-1.0.data/purelib/pure_beta.py': '',
      'Other.Places-1.0.data/platlib/plat_beta.py': '',
    },
  },
  {
    name: 'script_of_an_entry_point',
    version: '1.0',
    files: {
      'script_of_an_entry_point-1.0.data/scripts/boil': '#!python\nold\n',
      'script_of_an_entry_point-1.0.data/scripts/boil-script.py': '#!python\nold\n',
      'script_of_an_entry_point-1.0.dist-info/entry_points.txt': '[console_scripts]\nboil = gamma:main\n',
      'gamma.py': '',
    },
  },
  {
    name: 'platform_only',
    version: '1.0',
    pure: false,
    files: { 'delta.py': '', 'platform_only-1.0.data/purelib/pure_delta.py': '' },
  },
  { name: 'tea_green', version: '1.0', files: { 'tea/green/__init__.py': '', 'tests/__init__.py': '' } },
  { name: 'tea_black', version: '2!1.0.post1', files: { 'tea/black.py': '', 'tests/__init__.py': '' } },
  {
    name: 'no_english',
    version: '1.0',
    files: { 'cup/お茶, "緑".txt': '茶', 'cup/template.py': 'print {{ tea }}\n', 'cup/__init__.py': '' },
  },
  {
    name: 'of_its_own',
    version: '1.0',
    files: {
      'epsilon.py': '',
      '__pycache__/epsilon.cpython-311.pyc': 'not bytecode',
      'of_its_own-1.0.dist-info/INSTALLER': 'baker\n',
      'of_its_own-1.0.dist-info/REQUESTED': 'yes',
      'of_its_own-1.0.dist-info/direct_url.json': '{}',
      'of_its_own-1.0.dist-info/licenses/LICENSE': 'free',
    },
  },
  {
    name: 'poor_record',
    version: '1.0',
    files: { 'zeta.py': '', 'left.py': '', 'poor_record-1.0.dist-info/RECORD': 'zeta.py,,\n' },
  },
]

describe('a virtualenv of links', () => {
  it('is, file by file, the one that pip makes', async () => {
    const target = await workshop.newTarget()
    expect(await differencesFromPip(workshop, target, { wheels: WHEELS })).toEqual({})
    expect(target.read('log/deploy.log')).not.toContain('installing with pip')
  })

  it('is the one that pip makes also where its path is too long for a first line', async () => {
    const target = await workshop.newTarget({ base: `/opt/${'long/'.repeat(25)}` })
    const home = join(target.root, 'opt', 'long/'.repeat(25), 'guestbook')
    expect(await differencesFromPip(workshop, target, { wheels: WHEELS.slice(0, 2) }, home)).toEqual({})
  })

  it('is left to pip where two wheels have different files for one path', async () => {
    const target = await workshop.newTarget()
    const wheels = ['one', 'two'].map((name) => ({
      name,
      version: '1.0',
      files: { 'tests.py': `"${name}"\n` },
    }))
    expect(await differencesFromPip(workshop, target, { wheels })).toEqual({})
    expect(target.read('log/deploy.log')).toContain('installing with pip, as two wheels have different files')
  })

  it('is left to pip where scripts are named after Python’s version', async () => {
    const target = await workshop.newTarget()
    const entry = '[console_scripts]\neasy_install = alpha:main\n'
    const files = { 'alpha.py': '', 'alpha-1.0.dist-info/entry_points.txt': entry }
    expect(
      await differencesFromPip(workshop, target, { wheels: [{ name: 'alpha', version: '1.0', files }] }),
    ).toEqual({})
  })

  it('has the very files of the store, its bytecode too', async () => {
    const target = await workshop.newTarget()
    const release = await workshop.publish({ 'pyproject.toml': project() }, {})
    await target.run('prepare', release)
    const venv = target.path('releases', release.id, '.venv')
    const site = join(venv, 'lib', readdirSync(join(venv, 'lib'))[0] ?? '', 'site-packages')
    const [pyc = ''] = readdirSync(join(site, 'alpha/__pycache__'))
    expect(statSync(join(site, 'alpha/__init__.py')).nlink).toBe(2)
    expect(statSync(join(site, 'alpha/__pycache__', pyc)).nlink).toBe(2)
    const loaded = 'import alpha, sys; print(alpha.VERSION, alpha.__cached__, alpha.__file__)'
    const said = pythonOutput(join(venv, 'bin/python'), ['-B', '-v', '-c', loaded])
    expect(said).toMatch(/^1\.0 .*__pycache__.*alpha\/__init__\.py$/)
  })
})
