import { copyFileSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'
import { readLegacy } from '../../lib/bundle/legacy/legacy.ts'
import { parseNote } from '../../lib/bundle/legacy/legacy-notes.ts'
import { planFromLegacy } from '../../lib/bundle/legacy/legacy-plan.ts'
import { unpackLegacy } from '../../lib/bundle/legacy/legacy-unpack.ts'
import { provideBundle } from '../../lib/bundle/provide.ts'
import { readBundle } from '../../lib/bundle/read.ts'
import { pipEnvironment } from '../../lib/bundle/resolve/pip.ts'
import { UserError } from '../../lib/user-error.ts'
import { useLaptop } from './laptop.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { writeZip } from './wheel-file.ts'

useLaptop()

/** One of pip's own tests, of 2013, and one that pip 1.4.1 made. */
const [AUTHENTIC, MADE] = ['pip-simplebundle', 'legacy'].map(
  (name) => new URL(`data/${name}.pybundle`, import.meta.url).pathname,
) as [string, string]

const WISH = { folder: '/', requirements: 'none', platform: 'this-machine' }

const NOTES = {
  'git-clone.txt':
    '# This was a Git repo; to make it a repo again run:\ngit init\ngit remote add origin https://me:secret@host/g.git -f\ngit checkout 4f2e\n',
  'hg-clone.txt':
    '# This was a Mercurial repo; to make it a repo again run:\nhg init\nhg pull file:///hg/h\nhg update -r 7\n',
  'svn-checkout.txt':
    '# This was an svn checkout; to make it a checkout again run:\nsvn checkout --force -r 12 svn://host/s/trunk .\n',
  'bzr-branch.txt': '# This was a Bazaar branch; to make it a branch again run:\nbzr branch -r 3 lp:b .\n',
}

async function legacyBundle(members: Record<string, string>, manifest = 'pip-manifest.txt'): Promise<string> {
  const file = join(temporaryFolder(), 'old.pybundle')
  await writeZip(file, { ...members, [manifest]: MANIFEST })
  return file
}

const MANIFEST =
  '# This is a pip bundle file, that contains many source packages\n# These packages were installed to satisfy the above requirements:\nGitted==1.0\nNamed_Thing==None\n'

async function convert(file: string) {
  const plan = await planFromLegacy(file, WISH, join(temporaryFolder(), 'unpacked'))
  const made = await provideBundle(plan, { report: () => {} })
  const wheels = Object.keys(made.manifest.members).filter((name) => name.startsWith('wheels/'))
  return { ...made, wheels: wheels.map((name) => basename(name)) }
}

/** Prints what the Python code says in a virtualenv that has the bundle's packages, installed as a person would. */
async function runWith(bundle: string, ...command: string[]): Promise<string> {
  const cwd = temporaryFolder()
  const offline = { cwd, env: pipEnvironment(process.env, false), extendEnv: false }
  await execa('python3', ['-m', 'zipfile', '-e', bundle, '.'], offline)
  await execa('python3', ['-m', 'venv', '--without-pip', 'venv'], offline)
  const pip = join('tools', readdirSync(join(cwd, 'tools'))[0] ?? '', 'pip')
  const install = [pip, 'install', '--no-index', '--find-links=wheels', '-r', 'requirements.txt']
  await execa('venv/bin/python', install, offline)
  const [program = '', ...args] = command
  return (await execa(join(cwd, 'venv/bin', program), args, offline)).stdout
}

describe('a bundle of format 1', () => {
  it('is listed, the one of 2013 too', async () => {
    expect(await readLegacy(MADE)).toMatchObject({
      format: 1,
      packages: [
        { name: 'alpha', version: '1.2', folder: 'build/alpha' },
        { name: 'beta', version: '0.7', folder: 'build/beta' },
      ],
    })
    const { packages } = (await readLegacy(AUTHENTIC)) ?? {}
    expect(packages?.map(({ name, version }) => `${name} ${version}`)).toEqual(['simple 3.0', 'simple2 3.0'])
  })

  it('tells where its editables came from, without credentials', async () => {
    const file = await legacyBundle({
      'src/gitted/setup.py': '',
      'src/gitted/git-clone.txt': NOTES['git-clone.txt'],
      'build/Named-Thing/PKG-INFO': 'Name: Named-Thing\nVersion: 0.3\n',
    })
    expect((await readLegacy(file))?.packages).toEqual([
      { name: 'Named-Thing', version: '0.3', folder: 'build/Named-Thing', size: 31 },
      {
        name: 'gitted',
        version: '1.0',
        folder: 'src/gitted',
        size: NOTES['git-clone.txt'].length,
        checkout: { vcs: 'git', url: 'https://host/g.git', revision: '4f2e' },
      },
    ])
  })

  it.each([
    ['git-clone.txt', { vcs: 'git', url: 'https://host/g.git', revision: '4f2e' }],
    ['hg-clone.txt', { vcs: 'hg', url: 'file:///hg/h', revision: '7' }],
    ['svn-checkout.txt', { vcs: 'svn', url: 'svn://host/s/trunk', revision: '12' }],
    ['bzr-branch.txt', { vcs: 'bzr', url: 'lp:b', revision: '3' }],
  ] as const)('is read as pip wrote it: %s', (name, checkout) => {
    expect(parseNote(name, NOTES[name])).toEqual(checkout)
    expect(parseNote(name, '# nothing\n')).toBeUndefined()
  })

  it('is known by its older name, too, and told from anything else', async () => {
    const file = await legacyBundle({ 'build/a/setup.py': '' }, 'pyinstall-manifest.txt')
    expect((await readLegacy(file))?.packages).toMatchObject([{ name: 'a', version: null }])
    expect(await readLegacy(new URL(import.meta.url).pathname)).toBeUndefined()
  })

  it.each([AUTHENTIC, MADE])(
    'is refused where it is dropped, with the command that converts it: %s',
    async (file) => {
      await expect(readBundle(file)).rejects.toThrow(
        `${file}: a bundle of format 1, as pip wrote it until pip 6.0: it holds sources, which a target would have to build. Convert and publish it: pybundle publish-bundle --from FILE`,
      )
    },
  )
})

describe('converting a bundle of format 1', () => {
  it('makes one that installs, of the one that pip 1.4.1 made', async () => {
    const { file, wheels, manifest } = await convert(MADE)
    expect(wheels).toEqual(['alpha-1.2-py3-none-any.whl', 'beta-0.7-py3-none-any.whl'])
    expect(manifest.roots).toEqual(['alpha', 'beta'])
    expect(await runWith(file, 'alpha-cli')).toMatch(/alpha/)
  })

  it('makes one of the one of 2013', async () => {
    const { wheels } = await convert(AUTHENTIC)
    expect(wheels).toEqual(['simple-3.0-py3-none-any.whl', 'simple2-3.0-py3-none-any.whl'])
  })

  it('gives the same bytes again', async () => {
    const { digest, file } = await convert(MADE)
    const before = readFileSync(file)
    const plan = await planFromLegacy(MADE, WISH, join(temporaryFolder(), 'unpacked'))
    const again = await provideBundle(plan, { report: () => {}, upgrade: true })
    expect(again.digest).toBe(digest)
    expect(readFileSync(again.file).equals(before)).toBe(true)
  })

  it('keeps scripts, data, extras and markers of editables, whatever distutils they use', async () => {
    const file = await legacyBundle({
      'src/gitted/setup.py': `
from distutils.core import setup
setup(name="Gitted", version="1.0", py_modules=["gitted"], scripts=["say-gitted"], data_files=[("share/gitted", ["note"])])
`,
      'src/gitted/gitted.py': 'said = "gitted"\n',
      'src/gitted/say-gitted':
        '#!/usr/bin/env python\nimport gitted, sys, os\nprint(gitted.said, os.path.exists(sys.prefix + "/share/gitted/note"))\n',
      'src/gitted/note': '',
      'src/gitted/git-clone.txt': NOTES['git-clone.txt'],
      'build/needy/setup.py': `
from setuptools import setup
setup(name="needy", version="2.0", packages=["needy"], install_requires=["gitted>=1"],
      extras_require={"fast": ["absent"], ":python_version<'3'": ["absent"]})
`,
      'build/needy/needy/__init__.py': 'from gitted import said\n',
    })
    const { file: converted, wheels, manifest } = await convert(file)
    expect(manifest.vcs).toEqual({ gitted: { vcs: 'git', url: 'https://host/g.git', revision: '4f2e' } })
    expect(wheels).toEqual(['Gitted-1.0-py3-none-any.whl', 'needy-2.0-py3-none-any.whl'])
    expect(await runWith(converted, 'say-gitted')).toBe('gitted True')
    expect(await runWith(converted, 'python', '-c', 'import needy; print(needy.said)')).toBe('gitted')
  })

  it('says that it needs setuptools, where neither the Python nor the index has it', async () => {
    const python = await findPython()
    const pip = join(temporaryFolder(), basename(python.pip))
    copyFileSync(python.pip, pip)
    const bare = { ...python, pip }
    const folder = join(temporaryFolder(), 'unpacked')
    const trees = await unpackLegacy(MADE, folder, bare)
    const plan = await planFromLegacy(AUTHENTIC, WISH, join(temporaryFolder(), 'unpacked'))
    const local = trees.map((path) => ({ path, extras: '', marker: '' }))
    const requirements = { ...plan.requirements, local }
    await expect(
      provideBundle({ ...plan, python: bare, requirements }, { report: () => {} }),
    ).rejects.toThrow(
      /could not build a wheel from .*(alpha|beta):[\s\S]*needs setuptools, which is not in the index[\s\S]*Python before 3.12/,
    )
  })

  it.each([
    [{ 'build/a/README': '' }, /there is no setup.py in build\/a$/],
    [{ 'other/a/setup.py': '' }, /it holds no package$/],
  ])('refuses what holds nothing to build: %j', async (members, message) => {
    const error = await convert(await legacyBundle(members)).catch((thrown) => thrown)
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toMatch(message)
  })

  it('tells what a source of Python 2 died of', async () => {
    const file = await legacyBundle({ 'build/old/setup.py': 'print "hello"\n' })
    await expect(convert(file)).rejects.toThrow(/could not build a wheel from .*old:[\s\S]*SyntaxError/)
  })
})
