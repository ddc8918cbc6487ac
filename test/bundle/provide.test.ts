import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { planBundle, provideBundle } from '../../lib/bundle/provide.ts'
import { pipEnvironment } from '../../lib/bundle/resolve/pip.ts'
import { makeBundle, useLaptop, writeApp } from './laptop.ts'
import { buildWheel, startIndex } from './package-index.ts'
import { temporaryFolder } from './temporary-folder.ts'

useLaptop()

const ARM = ['amazon-linux-2023-arm64', '3.11'] as const

describe('a bundle of local sources', () => {
  const vendor = [
    { name: 'alpha', requires: ['beta>=1', 'gamma; python_version<"3"'] },
    { name: 'beta', version: '1.2' },
  ]
  const app = () => writeApp({ requirements: './vendor/alpha\n./vendor/beta\n', vendor })

  it('leaves them as they were, needs no index, and installs with plain pip where there is none', async () => {
    const folder = app()
    const { file, wheels, manifest } = await makeBundle(folder)
    expect(readdirSync(join(folder, 'vendor/alpha'), { recursive: true })).toHaveLength(4)
    expect(wheels).toEqual(['alpha-1.0-py3-none-any.whl', 'beta-1.2-py3-none-any.whl'])
    expect(manifest.roots).toEqual(['alpha', 'beta'])
    expect(await installByHand(file)).toBe('1.0 1.2')
  })

  it('is made once, and again when a source or the platform changes', async () => {
    const folder = app()
    writeFileSync(join(folder, 'vendor/beta/note'), String(Math.random()))
    const first = await makeBundle(folder)
    const again = await makeBundle(folder)
    expect([again.digest, again.isReused, again.news]).toEqual([first.digest, true, []])
    expect(again.why).toMatch(/^requirements\.txt, 2 local sources unchanged since /)

    expect((await makeBundle(folder, ...ARM)).isReused).toBe(false)
    appendFileSync(join(folder, 'vendor/beta/beta.py'), 'new = True\n')
    const changed = await makeBundle(folder)
    expect(changed.digest).not.toBe(first.digest)
    expect(changed.news).toEqual([
      expect.stringMatching(/^fetching pip /),
      expect.stringMatching(/^no index gives pip .*: the one that came with Python has to do$/),
      'building beta',
      expect.stringMatching(/^resolving/),
      'verifying 2 wheels',
      'packing 2 wheels',
    ])
  })

  it('is made again for other groups, though they name the same packages', async () => {
    const index = await startIndex([{ name: 'beta' }, { name: 'beta', version: '2.0' }])
    vi.stubEnv('PIP_INDEX_URL', index.url)
    const folder = temporaryFolder()
    const groups = '[dependency-groups]\nold = ["beta==1.0"]\nnew = ["beta==2.0"]\n'
    writeFileSync(join(folder, 'pyproject.toml'), `[project]\nname = "shop"\nversion = "1"\n${groups}`)
    for (const [group, version] of Object.entries({ old: '1.0', new: '2.0' })) {
      const requirements = `pyproject.toml[${group}]`
      const plan = await planBundle({ folder, requirements, platform: 'this-machine' })
      const { manifest } = await provideBundle(plan, { report: () => undefined })
      expect(Object.keys(manifest.members)).toContain(`wheels/beta-${version}-py3-none-any.whl`)
    }
  })

  it('is made anew when the kept one was damaged', async () => {
    const folder = app()
    const { file, digest } = await makeBundle(folder)
    writeFileSync(file, 'damaged')
    expect(await makeBundle(folder)).toMatchObject({ digest, isReused: false })
  })

  it('asks the index for what they need and do not bring', async () => {
    const index = await startIndex([
      { name: 'gamma', version: '3.0' },
      { name: 'beta', version: '99.0' },
    ])
    vi.stubEnv('PIP_INDEX_URL', index.url)
    const folder = writeApp({
      requirements: './vendor/needy\n./vendor/beta\n',
      vendor: [
        { name: 'needy', requires: ['gamma', 'beta'] },
        { name: 'beta', version: '1.2' },
      ],
    })
    const { wheels } = await makeBundle(folder)
    expect(wheels).toEqual([
      'beta-1.2-py3-none-any.whl',
      'gamma-3.0-py3-none-any.whl',
      'needy-1.0-py3-none-any.whl',
    ])
  })

  it('may be asked for by its name, too', async () => {
    const index = await startIndex([{ name: 'beta', version: '99.0' }])
    vi.stubEnv('PIP_INDEX_URL', index.url)
    const vendor = [{ name: 'beta', version: '1.2' }]
    const { wheels } = await makeBundle(writeApp({ requirements: 'beta\n./vendor/beta\n', vendor }))
    expect(wheels).toEqual(['beta-1.2-py3-none-any.whl'])
  })

  it('tells of an extra that does not exist, which pip passes over', async () => {
    const vendor = [{ name: 'alpha' }]
    const { news } = await makeBundle(writeApp({ requirements: './vendor/alpha[nope]\n', vendor }))
    expect(news).toContain('alpha has no extra "nope"; it has: none')
  })

  it('is refused, and not kept, when the verification finds something', async () => {
    const folder = writeApp({ requirements: './vendor/false', vendor: [{ name: 'false' }] })
    const backend = join(folder, 'vendor/false/_backend/backend.py')
    writeFileSync(backend, readFileSync(backend, 'utf8').replace('hashed(c)', 'hashed(c + b"x")'))
    for (const _ of ['at first', 'again'])
      await expect(makeBundle(folder)).rejects.toThrow(
        /would not work on [\s\S]*"false.py" is not what its RECORD says/,
      )
  })

  it('is refused with what pip says of a source that cannot be built', async () => {
    const folder = writeApp({ requirements: './vendor/broken', vendor: [{ name: 'broken' }] })
    writeFileSync(join(folder, 'vendor/broken/_backend/backend.py'), 'raise SystemError("no compiler")')
    await expect(makeBundle(folder)).rejects.toThrow(
      /could not build a wheel from .*broken:[\s\S]*no compiler/,
    )
  })
})

describe('pip', () => {
  it('is told to have been killed, where it had no time to say anything', async () => {
    const folder = writeApp({ requirements: './vendor/huge', vendor: [{ name: 'huge' }] })
    const backend = join(folder, 'vendor/huge/_backend/backend.py')
    writeFileSync(backend, 'import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n')
    await expect(makeBundle(folder)).rejects.toThrow(
      /could not build a wheel from .*huge:\npip was ended by SIGKILL: this machine may have run out of memory/,
    )
  })
})

describe('a folder whose name has a space', () => {
  it('may hold the app, its wheels and its constraints, with a byte order mark', async () => {
    const folder = join(writeApp({ requirements: '' }), 'my app')
    mkdirSync(join(folder, 'wheels'), { recursive: true })
    for (const version of ['1.0', '2.0']) await buildWheel({ name: 'alpha', version }, join(folder, 'wheels'))
    writeFileSync(join(folder, 'limits.txt'), '\uFEFFalpha<2\n')
    writeFileSync(join(folder, 'requirements.txt'), '--no-index\n-f wheels\n-c limits.txt\nalpha\n')
    expect((await makeBundle(folder)).wheels).toEqual(['alpha-1.0-py3-none-any.whl'])
  })

  it('may hold the cache, with what was built from the source of an index', async () => {
    vi.stubEnv('XDG_CACHE_HOME', join(temporaryFolder(), 'my cache'))
    const index = await startIndex([{ name: 'beta', requires: ['alpha'] }], [{ name: 'alpha' }])
    vi.stubEnv('PIP_INDEX_URL', index.url)
    expect((await makeBundle(writeApp({ requirements: 'beta\n' }))).wheels).toEqual([
      'alpha-1.0-py3-none-any.whl',
      'beta-1.0-py3-none-any.whl',
    ])
  })
})

describe('a bundle for another platform', () => {
  it('holds what that platform needs, not what this machine would', async () => {
    const index = await startIndex([
      {
        name: 'app',
        requiresPython: '!=3.11.0',
        requires: [
          'old; python_version<"3.12"',
          'arm; platform_machine=="aarch64"',
          'x86; platform_machine=="x86_64"',
        ],
      },
      { name: 'old' },
      { name: 'arm', tag: 'cp311-cp311-manylinux_2_17_aarch64' },
      { name: 'arm', version: '2.0', tag: 'cp311-cp311-manylinux_2_35_aarch64' },
      { name: 'arm', version: '3.0', tag: 'cp312-cp312-manylinux_2_17_aarch64' },
      { name: 'x86' },
    ])
    vi.stubEnv('PIP_INDEX_URL', index.url)
    const { wheels, manifest } = await makeBundle(writeApp({ requirements: 'app\n' }), ...ARM)
    expect(wheels).toEqual([
      'app-1.0-py3-none-any.whl',
      'arm-1.0-cp311-cp311-manylinux_2_17_aarch64.whl',
      'old-1.0-py3-none-any.whl',
    ])
    expect(manifest).toMatchObject({
      platform: { machine: 'aarch64', libc: ['glibc', '2.34'], python: '3.11' },
      roots: ['app'],
    })
  })

  it('is refused where a local source was built for this machine only', async () => {
    const vendor = [{ name: 'native', tag: 'cp311-cp311-linux_x86_64' }]
    const folder = writeApp({ requirements: './vendor/native', vendor })
    await expect(makeBundle(folder, ...ARM)).rejects.toThrow(
      '"native-1.0-cp311-cp311-linux_x86_64.whl" is for cp311-cp311-linux_x86_64, not for aarch64, glibc 2.34, Python 3.11',
    )
  })

  it('is refused where the index has nothing that fits, without the credentials of the index', async () => {
    const index = await startIndex([{ name: 'native', tag: 'cp311-cp311-manylinux_2_17_x86_64' }])
    vi.stubEnv('PIP_INDEX_URL', index.url.replace('//', '//me:secret@'))
    const error = await makeBundle(writeApp({ requirements: 'native' }), ...ARM).catch((thrown) => thrown)
    expect(error.message).toMatch(
      /^could not resolve for aarch64, glibc 2.34, Python 3.11:[\s\S]*No matching distribution found for native/,
    )
    expect(error.message).not.toContain('secret')
  })
})

describe("pip's settings", () => {
  const settings = { PATH: '/bin', PIP_TARGET: '/x', PIP_INDEX_URL: 'https://index', PYTHONPATH: '/y' }

  it('of the index are the only ones that reach it', () => {
    expect(pipEnvironment(settings, true)).toMatchObject({ PATH: '/bin', PIP_INDEX_URL: 'https://index' })
    expect(Object.keys(pipEnvironment(settings, true))).not.toEqual(expect.arrayContaining(['PIP_TARGET']))
    expect(Object.keys(pipEnvironment(settings, true))).not.toEqual(expect.arrayContaining(['PYTHONPATH']))
  })

  it('in files, for installing, leave nothing out', async () => {
    const index = await startIndex([{ name: 'alpha', requires: ['beta'] }, { name: 'beta' }])
    const file = join(temporaryFolder(), 'pip.conf')
    writeFileSync(
      file,
      `[global]\nindex-url = ${index.url}\nrequire-virtualenv = true\n[download]\nno-deps = true\n`,
    )
    vi.stubEnv('PIP_INDEX_URL', undefined)
    vi.stubEnv('PIP_CONFIG_FILE', file)
    expect((await makeBundle(writeApp({ requirements: 'alpha\n' }))).wheels).toEqual([
      'alpha-1.0-py3-none-any.whl',
      'beta-1.0-py3-none-any.whl',
    ])
  })

  it('do not reach it at all where no index is asked', () => {
    const { PIP_CONFIG_FILE, ...rest } = pipEnvironment(settings, false)
    expect(PIP_CONFIG_FILE).toBe('/dev/null')
    expect(Object.keys(rest).filter((name) => name.startsWith('PIP_'))).toEqual(['PIP_NO_INDEX'])
  })
})

/** As a person would on a machine without network and without pip: unzip, make a virtualenv, install. */
async function installByHand(bundle: string): Promise<string> {
  const folder = temporaryFolder()
  const offline = { cwd: folder, env: pipEnvironment(process.env, false), extendEnv: false }
  await execa('python3', ['-m', 'zipfile', '-e', bundle, '.'], offline)
  await execa('python3', ['-m', 'venv', '--without-pip', 'venv'], offline)
  const pip = join('tools', readdirSync(join(folder, 'tools'))[0] ?? '', 'pip')
  const python = join(folder, 'venv/bin/python')
  await execa(
    python,
    [pip, 'install', '--no-index', '--find-links=wheels', '--require-hashes', '-r', 'requirements.txt'],
    offline,
  )
  const { stdout } = await execa(
    python,
    ['-c', 'import alpha, beta; print(alpha.version, beta.version)'],
    offline,
  )
  return stdout
}
