import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { APP_KEYS, HOOK_NAMES, readAppConfig } from '../../lib/config/app.ts'
import { mistakesOf } from './mistakes-of.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pybundle-test-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
const mistakes = () => mistakesOf(() => readAppConfig(folder))

const GOOD = 'app = "shop"\nplatform = "this-machine"\n'

describe("the app's configuration", () => {
  it('is found above where the user stands', () => {
    write('pybundle.toml', GOOD)
    mkdirSync(join(folder, 'shop', 'views'), { recursive: true })
    expect(readAppConfig(join(folder, 'shop', 'views'))).toMatchObject({ folder, app: 'shop' })
  })

  it('may stand in pyproject.toml', () => {
    write('pyproject.toml', `[project]\nname = "x"\n[tool.pybundle]\n${GOOD}`)
    expect(readAppConfig(folder)).toMatchObject({ file: join(folder, 'pyproject.toml'), healthPath: '/' })
  })

  it('may name groups of its dependencies', () => {
    write('pybundle.toml', `${GOOD}requirements = "uv.lock"\ngroups = ["web", "db"]\n`)
    expect(readAppConfig(folder).requirements).toBe('uv.lock[web,db]')
  })

  it('is looked for further up where a pyproject.toml is of something else', () => {
    write('pybundle.toml', GOOD)
    mkdirSync(join(folder, 'library'))
    write('library/pyproject.toml', '[project]\nname = "library"\n')
    expect(readAppConfig(join(folder, 'library')).folder).toBe(folder)
  })

  it('is refused where there are two', () => {
    write('pybundle.toml', GOOD)
    write('pyproject.toml', `[tool.pybundle]\n${GOOD}`)
    expect(mistakes()[0]).toMatch(/has both pybundle.toml and \[tool.pybundle\]/)
  })

  it('is asked for where there is none', () => {
    expect(mistakes()[0]).toBe(
      `no app in "${folder}" or above it: a pybundle.toml, or a pyproject.toml with [tool.pybundle].`,
    )
  })

  it('says who signs, and whose signatures are known', () => {
    const keys =
      '["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHXrz5FeGC/K0/Bk4rhVwNDWT3oCNlTtPkW2UxlMQqkY ada", "ada"]'
    write('pybundle.toml', `${GOOD}[environments.production]\nbucket = "the-bucket"\nsigners = ${keys}\n`)
    expect(mistakes().slice(1)).toEqual([
      'environments.production.signers[1]: is no public key as it stands in a .pub file ("ssh-ed25519 AAAA... ada@example.com"): "ada"',
    ])
  })

  it.each([
    ['app', '"Shop"', 'app: is not a name: a lower-case letter, then up to 19 of a-z, 0-9 and "-"'],
    ['platform', '"debian-12"', 'platform: "debian-12" is not a platform; did you mean "debian-12-x86_64"?'],
    [
      'platform',
      '"debian-12-arm64"',
      'python: is missing; must be the Python version on the targets, such as "3.11"',
    ],
    ['python', '3.11', 'python: must be a Python version such as "3.11", not 3.11'],
    ['requirements', '"../all.txt"', "requirements: must be a path inside the app's folder"],
    [
      'groups',
      '["web"]',
      'groups: "requirements.txt" has none; pyproject.toml, uv.lock and pylock.toml have',
    ],
    ['shared_paths', '["media", "/var"]', "shared_paths[1]: must be a path inside the app's folder"],
    ['health_path', '"health"', 'health_path: must begin with "/"'],
    ['helth_path', '"/"', 'helth_path: unknown key; did you mean "health_path"?'],
    [
      'migrate_check_command',
      '"true"',
      'migrate_check_command: has no "migrate_command" whose need it could tell',
    ],
    [
      'hooks',
      '{ before_activte = "true" }',
      'hooks.before_activte: unknown key; did you mean "before_activate"?',
    ],
    ['hooks', '{ after_activate = 3 }', 'hooks.after_activate: must be a command, not 3'],
    ['hooks', '["true"]', 'hooks: must be a table'],
    [
      'hooks',
      '{ before_migrate = "true" }',
      'hooks.before_migrate: has no "migrate_command" around which it could run',
    ],
    [
      'environments',
      '{ staging = {} }',
      'environments.staging.bucket: is missing; must be the bucket to publish to',
    ],
    [
      'environments',
      '{ Staging = { bucket = "artifacts" } }',
      'environments.Staging: "Staging" is not a name: a lower-case letter, then up to 19 of a-z, 0-9 and "-"',
    ],
  ])('refuses %s = %s', (key, value, mistake) => {
    const values: Record<string, string> = { app: '"shop"', platform: '"this-machine"', [key]: value }
    write(
      'pybundle.toml',
      Object.entries(values)
        .map(([name, text]) => `${name} = ${text}\n`)
        .join(''),
    )
    expect(mistakes().slice(1)).toEqual([mistake])
  })

  it('tells all that is wrong with its hooks at once, and of a stray one what hooks there are', () => {
    write(
      'pyproject.toml',
      `[tool.pybundle]\n${GOOD}[tool.pybundle.hooks]\nreload = "x"\nafter_prepare = ""\n`,
    )
    expect(mistakes().slice(1)).toEqual([
      'tool.pybundle.hooks.after_prepare: must be a command, not ""',
      `tool.pybundle.hooks.reload: unknown key; known keys: ${HOOK_NAMES.join(', ')}`,
    ])
  })

  it('is named with the path of its table when it is wrong', () => {
    write('pyproject.toml', `[tool.pybundle]\n${GOOD}\nwaves = []\nexclude = "x"`)
    expect(mistakes()).toEqual([
      `${join(folder, 'pyproject.toml')}: 2 mistakes`,
      'tool.pybundle.exclude: must be a list of patterns, not "x"',
      expect.stringMatching(
        /^tool.pybundle.waves: unknown key; known keys: app, requirements, [^[]*environments$/,
      ),
    ])
  })
})

describe('a rule', () => {
  it('holds for a key also when another key is wrong', () => {
    write(
      'pybundle.toml',
      'app = "shop"\nplatform = "this-machine"\nrequirements = 3\nshared_paths = ["/var"]\n',
    )
    expect(mistakes()).toContain("shared_paths[0]: must be a path inside the app's folder")
  })
})

describe('the reference of pybundle.toml', () => {
  const reference = new URL('../../docs/reference/', import.meta.url).pathname

  it('is valid', () => {
    expect(readAppConfig(reference).app).toBe('shop')
  })

  it('tells of every key', () => {
    const text = readFileSync(join(reference, 'pybundle.toml'), 'utf8')
    const shown = APP_KEYS.filter((key) => new RegExp(`^(${key} = |\\[${key}[.\\]])`, 'm').test(text))
    expect(shown).toEqual(APP_KEYS)
    expect(Object.keys(readAppConfig(reference).hooks)).toEqual(HOOK_NAMES)
  })
})
