import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { findPython, type Python } from '../../lib/bundle/find-python.ts'
import { readInputs } from '../../lib/bundle/inputs/inputs.ts'
import type { Platform } from '../../lib/bundle/platform.ts'
import { temporaryFolder } from './temporary-folder.ts'

const AL2023: Platform = { machine: 'aarch64', libc: ['glibc', '2.34'], python: '3.11' }
const HASH = 'a'.repeat(64)

let python: Python
beforeAll(async () => {
  python = await findPython()
})

async function read(named: string, files: Record<string, string>, platform = AL2023) {
  const folder = temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return { folder, ...(await readInputs(folder, named, { platform, python })) }
}

describe('pyproject.toml', () => {
  const project = `
[project]
name = "app"
dependencies = ["flask>=3", "arm; platform_machine == 'aarch64'"]
[project.optional-dependencies]
web = ["uvicorn[standard]"]
all = ["App[web]", "celery"]
[dependency-groups]
production = [{ include-group = "base" }, "gunicorn"]
base = ["psycopg"]
round = [{ include-group = "round" }]
`

  it('gives its dependencies, and those of the groups and extras that are asked for', async () => {
    const plain = await read('pyproject.toml', { 'pyproject.toml': project })
    expect(plain.lines).toEqual(['flask>=3', "arm; platform_machine == 'aarch64'"])
    const grouped = await read('pyproject.toml[Production, all]', { 'pyproject.toml': project })
    expect(grouped.names).toEqual(['flask', 'arm', 'psycopg', 'gunicorn', 'uvicorn', 'celery'])
  })

  it('asks no index for the project itself, wherever it names its own extras', async () => {
    const text = `
[project]
name = "My_App"
dependencies = ["flask", "my.app[Web_X]"]
[project.optional-dependencies]
web-x = ["uvicorn ; os_name == 'posix'", "my-app[more, web] ; python_version > '3.9'"]
more = ["celery; python_version < '4'", "redis @ https://example.com/redis-1.0-py3-none-any.whl"]
web = ["gunicorn"]
[dependency-groups]
web = ["my-app[more]", "waitress"]
`
    const found = await read('pyproject.toml', { 'pyproject.toml': text })
    expect(found.lines).toEqual([
      'flask',
      "uvicorn ; os_name == 'posix'",
      "celery ; (python_version < '4') and (python_version > '3.9')",
      "redis @ https://example.com/redis-1.0-py3-none-any.whl ; (python_version > '3.9')",
      "gunicorn ; (python_version > '3.9')",
    ])
    const both = await read('pyproject.toml[web]', { 'pyproject.toml': text })
    expect(both.names.slice(5)).toEqual(['celery', 'redis', 'waitress', 'gunicorn'])
  })

  it.each([
    ['pyproject.toml[nope]', project, /no group "nope"; known: production, base, round, web, all$/],
    ['pyproject.toml[round]', project, /the group "round" includes itself/],
    [
      'pyproject.toml',
      '[project]\nname = "x"\ndependencies = ["== 3"]',
      /project.dependencies: "== 3" is not a requirement/,
    ],
    [
      'pyproject.toml',
      '[project]\nname = "x"\ndynamic = ["dependencies"]',
      /"dynamic", found out only when it is built/,
    ],
    [
      'pyproject.toml[web]',
      '[project]\nname = "x"\ndynamic = ["optional-dependencies"]',
      /its optional-dependencies are "dynamic"/,
    ],
    [
      'pyproject.toml',
      '[project]\nname = "x"\nrequires-python = ">=3.12"\ndependencies = ["a"]',
      /is for Python >=3.12, not for aarch64, glibc 2.34, Python 3.11/,
    ],
    [
      'pyproject.toml',
      '[project]\nname = "x"\ndependencies = ["a"]\n[[tool.uv.index]]\nurl = "https://packages.example.com"',
      /\[tool.uv\] has index, which only uv reads/,
    ],
    [
      'pyproject.toml',
      '[project]\nname = "x"\ndependencies = ["x[a]"]',
      /its own extra "a", which it has not/,
    ],
    [
      'pyproject.toml[a]',
      '[dependency-groups]\na = [{ include-group = "b" }]',
      /includes the group "b", which it has not/,
    ],
    [
      'pyproject.toml',
      '[project]\nname = "x"\ndynamic = ["dependencies"]\n[tool.poetry.dependencies]\nflask = "^3"',
      /in \[tool.poetry\], which only Poetry reads.*\n {2}poetry export/,
    ],
    [
      'pyproject.toml',
      '[project]\nname = "x"\ndependencies = ["own", "flask"]\n[tool.poetry.dependencies]\nown = { git = "https://x" }',
      /says where own comes from, which only Poetry reads/,
    ],
    ['pyproject.toml', '[tool.poetry.dependencies]\nflask = "^3"', /poetry export --format requirements.txt/],
    [
      'pyproject.toml',
      '[project]\nname = "x"\ndependencies = ["own"]\n[tool.uv.sources]\nown = { path = "own" }',
      /where own comes from.*Name "uv.lock"/,
    ],
    [
      'pyproject.toml',
      '[project]\nname = "x"\ndependencies = "flask"',
      /project.dependencies: .*expected array/,
    ],
    ['pyproject.toml', '[project', /pyproject.toml:1:\d+: is not TOML/],
    ['pyproject.toml', '', /names no dependency/],
    ['pyproject.toml', undefined, /no requirements file .*pyproject.toml/],
  ])('is refused in words: %s, %j', async (named, text, message) => {
    await expect(read(named, text === undefined ? {} : { 'pyproject.toml': text })).rejects.toThrow(message)
  })
})

describe('uv.lock', () => {
  const lock = `
version = 1
revision = 3
requires-python = ">=3.9"
[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }
dependencies = [
  { name = "flask", extra = ["async"] },
  { name = "win", marker = "sys_platform == 'win32'" },
  { name = "repo" },
  { name = "local" },
]
[package.dev-dependencies]
dev = [{ name = "pytest" }]
[[package]]
name = "flask"
version = "3.0.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "click", version = "8.0", source = { registry = "https://pypi.org/simple" }, marker = "python_version < '3.12'" }, { name = "click", version = "9.0", source = { registry = "https://pypi.org/simple" }, marker = "python_version >= '3.12'" }]
sdist = { url = "https://files/flask.tar.gz", hash = "sha256:${HASH}", size = 1 }
wheels = [{ url = "https://files/flask.whl", hash = "sha256:${'b'.repeat(64)}", size = 1 }]
[package.optional-dependencies]
async = [{ name = "asgiref" }]
[[package]]
name = "click"
version = "8.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "click"
version = "9.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "asgiref"
version = "3.7"
source = { registry = "https://packages.example.com/simple" }
[[package]]
name = "win"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "pytest"
version = "8.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "repo"
version = "1.0"
source = { git = "https://example.com/repo.git?subdirectory=python&rev=main#0123456789" }
[[package]]
name = "local"
version = "1.0"
source = { directory = "libs/local" }
`
  const files = { 'uv.lock': lock, 'libs/local/setup.py': '' }

  it('gives what the platform needs of it, pinned and with the hashes of all files', async () => {
    const found = await read('uv.lock', files)
    expect(found.lines).toEqual([
      '--extra-index-url https://packages.example.com/simple',
      `flask==3.0.0 --hash=sha256:${HASH} --hash=sha256:${'b'.repeat(64)}`,
      'click==8.0',
      'asgiref==3.7',
    ])
    expect(found.names).toEqual(['flask', 'repo', 'local'])
    expect(found.local).toMatchObject([{ path: join(found.folder, 'libs/local') }])
    expect(found.remote).toMatchObject([
      { url: 'git+https://example.com/repo.git@0123456789#subdirectory=python' },
    ])
  })

  it('gives another version to another Python, and a group to who asks', async () => {
    const found = await read('uv.lock[dev]', files, { ...AL2023, python: '3.13' })
    expect(found.lines).toContain('click==9.0')
    expect(found.names).toEqual(['flask', 'repo', 'local', 'pytest'])
    await expect(read('uv.lock[nope]', files)).rejects.toThrow('no group "nope"; known: dev')
  })

  it('gives what uv chose where groups conflict', async () => {
    const edge = (version: string, marker: string) =>
      `{ name = "click", version = "${version}", source = { registry = "https://pypi.org/simple" }, marker = "${marker}" }`
    const conflicting = `${lock}
[[package]]
name = "choosy"
version = "1.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [${edge('8.0', "extra == 'group-3-app-old' or (extra == 'extra-3-app-x' and extra == 'extra-3-app-y')")}, ${edge('9.0', "extra != 'group-3-app-old'")}]
`
      .replace('{ name = "flask", extra = ["async"] }', '{ name = "choosy" }')
      .replace('dev = [', 'old = []\ndev = [')
    const clicks = async (named: string) => {
      const { lines } = await read(named, { ...files, 'uv.lock': conflicting })
      return lines.filter((line) => line.startsWith('click'))
    }
    expect(await clicks('uv.lock')).toEqual(['click==9.0'])
    expect(await clicks('uv.lock[old]')).toEqual(['click==8.0'])
  })

  it('is refused for another Python or machine, and where it is older than what it locks', async () => {
    const head = (line: string) => ({ ...files, 'uv.lock': lock.replace('requires-python = ">=3.9"', line) })
    await expect(read('uv.lock', head('requires-python = ">=3.12"'))).rejects.toThrow(
      /uv.lock is for Python >=3.12, not for aarch64/,
    )
    await expect(
      read('uv.lock', head('supported-markers = ["platform_machine == \'x86_64\'"]')),
    ).rejects.toThrow(/uv.lock is for platform_machine == 'x86_64', not for aarch64/)
    const metadata = '[package.metadata]\nrequires-dist = [{ name = "flask" }]\n[package.dev-dependencies]'
    const stale = {
      ...files,
      'uv.lock': lock.replace('[package.dev-dependencies]', metadata),
      'pyproject.toml': '[project]\nname = "app"\ndependencies = ["Flask", "new>=1"]\n',
    }
    await expect(read('uv.lock', stale)).rejects.toThrow(/before .*pyproject.toml asked for new. Run uv lock/)
  })

  it('is refused in a version to come', async () => {
    await expect(read('uv.lock', { 'uv.lock': 'version = 2' })).rejects.toThrow(/version: only version 1/)
  })
})

describe('pylock.toml', () => {
  const lock = (head = '') => `
lock-version = "1.0"
created-by = "somebody"
${head}
[[packages]]
name = "alpha"
version = "1.0"
index = "https://packages.example.com/simple"
wheels = [{ url = "https://x/alpha-1.0-py3-none-any.whl", hashes = { sha256 = "${HASH}" } }]
[[packages]]
name = "win"
version = "1.0"
marker = "sys_platform == 'win32'"
[[packages]]
name = "tests"
version = "1.0"
marker = "'dev' in dependency_groups"
[[packages]]
name = "repo"
vcs = { type = "git", url = "https://example.com/repo.git", commit-id = "0123" }
[[packages]]
name = "near"
version = "1.0"
wheels = [{ path = "wheels/near-1.0-cp311-cp311-win_amd64.whl", hashes = {} }, { path = "wheels/near-1.0-py3-none-any.whl", hashes = {} }]
`
  const wheel = { 'wheels/near-1.0-py3-none-any.whl': 'x' }

  it('gives what the platform needs of it', async () => {
    const found = await read('pylock.toml', { 'pylock.toml': lock('requires-python = ">=3.11.4"'), ...wheel })
    expect(found.lines).toEqual([
      '--extra-index-url https://packages.example.com/simple',
      `alpha==1.0 --hash=sha256:${HASH}`,
    ])
    expect(found.remote).toMatchObject([{ url: 'git+https://example.com/repo.git@0123' }])
    expect(found.local).toMatchObject([{ path: join(found.folder, 'wheels/near-1.0-py3-none-any.whl') }])
    const dev = await read('pylock.web.toml[dev]', { 'pylock.web.toml': lock(), ...wheel })
    expect(dev.names).toContain('tests')
  })

  it('adds groups to those that are always there, and knows which there are', async () => {
    const head = 'dependency-groups = ["base"]\ndefault-groups = ["base"]\nextras = ["Web_X"]'
    const marked = lock(head).replace(
      'version = "1.0"\nindex',
      'version = "1.0"\nmarker = "\'base\' in dependency_groups"\nindex',
    )
    const files = { 'pylock.toml': marked, ...wheel }
    expect((await read('pylock.toml[dev,web-x]', files)).names).toEqual(['alpha', 'tests'])
    await expect(read('pylock.toml[nope]', files)).rejects.toThrow('no group "nope"; known: base, web-x, dev')
  })

  it('is refused where it was locked for one other machine', async () => {
    const wheel = 'native-1.0-cp311-cp311-manylinux_2_17_x86_64.whl'
    const packages = (sdist: string) => `
lock-version = "1.0"
[[packages]]
name = "native"
version = "1.0"
wheels = [{ url = "https://x/${wheel}", hashes = {} }]
${sdist}
`
    await expect(read('pylock.toml', { 'pylock.toml': packages('') })).rejects.toThrow(
      `was locked for another platform; it has nothing for aarch64, glibc 2.34, Python 3.11 of:\n- native 1.0: ${wheel}\nLock for every platform`,
    )
    const sdist = 'sdist = { url = "https://x/native-1.0.tar.gz", hashes = {} }'
    expect((await read('pylock.toml', { 'pylock.toml': packages(sdist) })).names).toEqual(['native'])
  })

  it('may name archives, with hashes of other kinds, and sources without a version', async () => {
    const found = await read('pylock.toml', {
      'sources/own-1.tar.gz': '',
      'pylock.toml': `
lock-version = "1.0"
[[packages]]
name = "far"
archive = { url = "https://x/far.zip", subdirectory = "py", hashes = { sha512 = "${HASH}" } }
[[packages]]
name = "own"
sdist = { path = "sources/own-1.tar.gz", hashes = {} }
`,
    })
    expect(found.remote).toMatchObject([{ url: `https://x/far.zip#subdirectory=py --hash=sha512:${HASH}` }])
    expect(found.local).toMatchObject([{ path: join(found.folder, 'sources/own-1.tar.gz') }])
    await expect(
      read('pylock.toml', { 'pylock.toml': 'lock-version = "1.0"\n[[packages]]\nname = "a"' }),
    ).rejects.toThrow('"a" has neither a version nor a place')
  })

  it.each([
    ['requires-python = "<3.11"', /is for Python <3.11, not for aarch64/],
    ['environments = ["sys_platform == \'win32\'"]', /is for sys_platform == 'win32', not for aarch64/],
  ])('is refused for another platform: %s', async (head, message) => {
    await expect(read('pylock.toml', { 'pylock.toml': lock(head), ...wheel })).rejects.toThrow(message)
  })
})

describe('buildout.cfg', () => {
  const base =
    '[buildout]\nindex = https://packages.example.com/simple\n[versions]\nDjango = 4.1\ncelery = 5.3\n'
  const buildout = `
[buildout]
extends = base.cfg
parts = web worker
develop = src/own

[app]
eggs =
    Django [argon2]
    # a comment
    own

[web]
recipe = zc.recipe.egg
eggs = \${app:eggs}
    gunicorn >=20

[worker]
recipe = zc.recipe.egg
eggs = \${web:eggs}
eggs += celery

[docs]
eggs = sphinx

[versions]
django = 4.2
gunicorn =
`

  it('gives the eggs of its parts, and its pins', async () => {
    const found = await read('buildout.cfg', {
      'buildout.cfg': buildout,
      'base.cfg': base,
      'src/own/setup.py': '',
    })
    expect(found.names).toEqual(['Django', 'own', 'gunicorn', 'celery'])
    expect(found.lines[0]).toBe('--index-url https://packages.example.com/simple')
    expect(found.constraints).toEqual(['django==4.2', 'celery==5.3'])
    expect(found.local).toMatchObject([{ path: join(found.folder, 'src/own') }])
    expect(found.files).toHaveLength(2)
  })

  it('is read as buildout reads it: macros, conditions, scripts, and what several files extend', async () => {
    const found = await read('buildout.cfg', {
      'base.cfg': '[buildout]\nparts = web\n[versions]\na = 1\nb = 1\n',
      'one.cfg': '[buildout]\nextends = base.cfg\n[versions]\na = 2\n',
      'two.cfg': '[buildout]\nextends = base.cfg\n[versions]\nb = 2\n',
      'src/x/setup.py': '',
      'src/y/setup.py': '',
      'buildout.cfg': `
[buildout]
extends =
    one.cfg
    two.cfg
parts += gunicorn
develop = src/*

[base]
eggs = a
    \${:more}

[web]
<= base
more = m
eggs += b

[gunicorn]
recipe = zc.recipe.egg:scripts

[versions:python27]
c = 1
[versions: python3 and platform_machine == "aarch64"]
c = 2
[versions:windows]
d = 1
[versions]
e = 1
`,
    })
    expect(found.names).toEqual(['a', 'm', 'b', 'gunicorn'])
    expect(found.constraints).toEqual(['a==1', 'b==2', 'c==2', 'e==1'])
    expect(found.local.map(({ path }) => path.slice(found.folder.length + 1))).toEqual(['src/x', 'src/y'])
    expect(found.files).toHaveLength(4)
  })

  it.each([
    ['[buildout]\nextends = buildout.cfg', /buildout.cfg: extends itself/],
    ['[buildout]\nauto-checkout = own', /asks mr.developer for own/],
    ['[versions:sys.version_info < (3,)]\na = 1', /[Ii]nvalid marker|sys.version_info/],
    ['[buildout]\nextends = https://example.com/versions.cfg', /is not read from the network/],
    ['[buildout]\nextends = nope.cfg', /extends "nope.cfg", which is not there/],
    [`[buildout]\nparts = a\n[a]\neggs = $\{b:eggs}`, /\[a\] refers to \$\{b:eggs\}, which is not there/],
    [`[buildout]\nparts = a\n[a]\neggs = $\{:eggs}`, /in a circle/],
  ])('is refused in words: %j', async (text, message) => {
    await expect(read('buildout.cfg', { 'buildout.cfg': text })).rejects.toThrow(message)
  })
})

it.each([
  ['poetry.lock', 'poetry export'],
  ['Pipfile.lock', 'pipenv requirements'],
  ['pdm.lock', 'pdm export'],
])('%s is refused with the command that writes what can be read', async (name, command) => {
  await expect(read(name, { [name]: '' })).rejects.toThrow(command)
})
