import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { filesAsTarGz, SCOPE, writeWheel } from './artifacts.ts'
import type { TestTarget } from './target.ts'
import { project, Workshop } from './workshop.ts'

const FIVE = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'].map((name) => ({ name, version: '1.0' }))

let workshop: Workshop
/** Has a virtualenv of the five already. */
let target: TestTarget
beforeAll(async () => {
  workshop = await Workshop.open('prepare')
  target = await workshop.newTarget({ env_file: '/etc/guestbook.env' })
  target.writeFile('etc/guestbook.env', 'COLOUR="green tea"\n')
  await target.run('prepare', await publish({}))
})
afterAll(() => workshop.close())

const publish = (files: Record<string, string>, settings: string[] = [], more = {}) =>
  workshop.publish({ 'pyproject.toml': project(settings), ...files }, { wheels: FIVE, ...more })

describe('prepare', () => {
  it('installs the bundle into a virtualenv at its final path, with bytecode', async () => {
    const release = await publish({ 'app.py': 'import alpha\n' })

    const { verdict, exitCode } = await target.run('prepare', release)

    expect([verdict.outcome, verdict.current, exitCode]).toEqual(['done', null, 0])
    expect(target.read('releases', release.id, 'app.py')).toBe('import alpha\n')
    const venv = target.path(
      'releases',
      release.id,
      readlinkSync(target.path('releases', release.id, '.venv')),
    )
    const site = join(venv, 'lib', readdirSync(join(venv, 'lib'))[0] ?? '', 'site-packages')
    expect(readdirSync(site)).toEqual(expect.arrayContaining(['alpha', 'epsilon', 'epsilon-1.0.dist-info']))
    expect(readdirSync(join(site, 'alpha', '__pycache__'))).toHaveLength(1)
    expect(readdirSync(target.path('tmp'))).toEqual([])
  })

  it('changes nothing when the release is there already', async () => {
    const release = await publish({ 'app.py': '1\n' })
    await target.run('prepare', release)
    const before = workshop.bucket.fetched.length

    const { verdict } = await target.run('prepare', release)

    expect(verdict).toMatchObject({ outcome: 'done', reason: 'was prepared already' })
    expect(workshop.bucket.fetched.length).toBe(before)
  })

  it('fetches no bundle that it has a virtualenv of', async () => {
    const release = await publish({ 'app.py': '2\n' })
    workshop.bucket.fetched.length = 0

    await target.run('prepare', release)

    expect(workshop.bucket.fetched).toEqual([
      `staging/guestbook/releases/${release.id}.json`,
      'staging/guestbook/code/a.tar.gz',
    ])
  })

  it('lets no setting of the machine or of pip into the installation', async () => {
    const fresh = await workshop.newTarget()
    fresh.writeFile('pip.conf', `[install]\ntarget = ${fresh.root}/elsewhere\n`)
    Object.assign(fresh.environment, {
      PIP_CONFIG_FILE: join(fresh.root, 'pip.conf'),
      PIP_TARGET: join(fresh.root, 'elsewhere'),
      PYTHONPATH: join(fresh.root, 'elsewhere'),
    })

    const { verdict } = await fresh.run('prepare', await publish({}, [], { wheels: [] }))

    expect(verdict.outcome).toBe('done')
    expect(readdirSync(fresh.root)).not.toContain('elsewhere')
  })

  it('runs the prepare command in the release with its virtualenv, the env_file and nothing else', async () => {
    target.environment.TEAPOT = 'leaks'
    const command =
      'prepare_command = "python -c \\"import alpha; print(alpha.VERSION)\\" >out; env >>out; pwd >>out"'
    const release = await publish({}, [command])

    const { verdict } = await target.run('prepare', release)

    expect(verdict.outcome).toBe('done')
    const said = target.read('releases', release.id, 'out')
    expect(said).toMatch(/^1\.0\n/)
    expect(said).toContain('COLOUR=green tea')
    expect(said).toContain(target.path('releases', release.id))
    expect(said).not.toMatch(/TEAPOT|AWS_|SSM_|PYBUNDLE_(CONFIG|ROOT)/)
  })

  it('fails with the last lines of a prepare command that fails, and is not prepared then', async () => {
    const release = await publish({}, ['prepare_command = "echo お茶がない; exit 3"'])

    const { verdict, exitCode } = await target.run('prepare', release)

    expect(verdict).toMatchObject({ outcome: 'failed', log: 'お茶がない' })
    expect(exitCode).toBe(1)
    expect((await target.run('status')).verdict.prepared).not.toContain(release.id)
  })

  it('sends the whole logs of what failed to reports/, beside the last lines in its verdict', async () => {
    target.environment.AWS_SSM_INSTANCE_ID = 'i-0123456789abcdef0'
    const many = 'prepare_command = "seq -f line%g 1000; exit 3"'

    const { verdict } = await target.run('prepare', await publish({}, [many]))

    expect(verdict.report).toMatch(
      /^staging\/guestbook\/reports\/arn:aws:ec2:eu-west-1:123456789012:instance\/i-0123456789abcdef0\/\d+T\d+Z-prepare\.log$/,
    )
    const report = workshop.bucket.body(verdict.report ?? '').toString()
    expect(report).toContain('line1\nline2\n')
    expect(report).toContain('prepare_command failed')
    expect(report).not.toContain('お茶がない')
  })

  it('runs hooks by a Python that was built without ctypes', async () => {
    const lacking = await workshop.newTarget()
    lacking.alterProgram('FETCH_ATTEMPTS = 6', 'FETCH_ATTEMPTS = 6\nsys.modules["_ctypes"] = None')
    const { verdict } = await lacking.run('prepare', await publish({}, ['prepare_command = "true"']))
    expect(verdict).toMatchObject({ outcome: 'done', reason: 'prepared' })
  })

  it('sends the log of the virtualenv that could not be made', async () => {
    const full = await workshop.newTarget()
    mkdirSync(full.path('venvs'), { recursive: true })
    chmodSync(full.path('venvs'), 0o555)
    const { verdict } = await full.run('prepare', await publish({}))
    chmodSync(full.path('venvs'), 0o755)
    expect(verdict.reason).toBe('the virtualenv could not be made')
    const report = workshop.bucket.body(verdict.report ?? '').toString()
    expect(report).toContain('==> install.log <==')
    expect(report.split('==> install.log <==')[1]).toContain('Permission denied')
  })

  it('waits for no pip that never answers, and ends what it has left running', async () => {
    const pid = join(workshop.folder, 'pid-of-pip')
    const note = `open(${JSON.stringify(pid)}, "w").write(str(os.getpid()))`
    const hangs = `import os, time\nif os.fork() == 0: os.setsid(); ${note}\ntime.sleep(30)\n`
    const files = {
      'pip/_internal/operations/install/wheel.py': '',
      'pip/_vendor/distlib/scripts.py': "SCRIPT_TEMPLATE = r'''print()'''\n",
      'pip/_vendor/packaging/requirements.py': hangs,
    }
    const pip = await writeWheel(workshop.folder, { name: 'pip', version: '99.0', files })
    const fresh = await workshop.newTarget()
    fresh.alterPart('prepare', 'PIP_SECONDS = 120', 'PIP_SECONDS = 4')
    const { verdict } = await fresh.run('prepare', await publish({}, [], { pip }))
    expect(verdict.reason).toBe("the bundle's pip did not answer within 4 s")
    expect(existsSync(`/proc/${readFileSync(pid, 'utf8')}`)).toBe(false)
  })

  it('keeps its verdict on one line of 2,000 bytes whatever a hook prints', async () => {
    const flood = `python -c 'print(\\"お茶\\\\x1b[31m\\\\\\"\\" * 100000)'; exit 1`
    const { verdict } = await target.run('prepare', await publish({}, [`prepare_command = "${flood}"`]))

    expect(Buffer.byteLength(JSON.stringify(verdict))).toBeLessThan(2100)
    expect(verdict.log).toMatch(/^[お茶"\ufffd]+$/)
  })

  it('links shared paths into shared/, also over what the archive has there', async () => {
    const release = await publish({ 'var/media/readme': 'x' }, ['shared_paths = ["var/media", "data"]'])

    await target.run('prepare', release)

    expect(readlinkSync(target.path('releases', release.id, 'var/media'))).toBe('../../../shared/var/media')
    expect(lstatSync(target.path('shared/data')).isDirectory()).toBe(true)
    expect(readdirSync(target.path('releases', release.id, 'data'))).toEqual([])
  })

  it('reads pybundle.toml in the place of pyproject.toml', async () => {
    const release = await workshop.publish(
      { 'pybundle.toml': 'app = "guestbook"\nprepare_command = "touch made"\n' },
      { wheels: FIVE },
    )
    await target.run('prepare', release)
    expect(target.has('releases', release.id, 'made')).toBe(true)
  })

  it('makes anew what a killed prepare left behind', async () => {
    const release = await publish({ 'app.py': '3\n' })
    mkdirSync(target.path('releases', release.id))
    writeFileSync(target.path('releases', release.id, 'half'), '')
    mkdirSync(target.path('tmp/release'))

    await target.run('prepare', release)

    expect(readdirSync(target.path('releases', release.id))).not.toContain('half')
    expect(readdirSync(target.path('tmp'))).toEqual([])
  })

  it('makes anew what has a folder in the place of its marker', async () => {
    const fresh = await workshop.newTarget()
    const release = await publish({ 'app.py': 'anew\n' })
    for (const folder of ['venvs/0123456789ab/.ready', `releases/${release.id}/.pybundle-release.json`]) {
      mkdirSync(fresh.path(folder), { recursive: true })
    }
    const { verdict } = await fresh.run('prepare', release)
    expect(verdict).toMatchObject({ outcome: 'done', reason: 'prepared' })
    expect((await fresh.run('status')).verdict).toMatchObject({ prepared: [release.id], venvs: 1 })
  })

  it.each<[string, string[], RegExp]>([
    ['an app of another name', ['app = "wiki"'], /code of the app "wiki", not of "guestbook"/],
    [
      'a setting of another kind',
      ['app = "guestbook"', 'shared_paths = "x"'],
      /pyproject.toml: "shared_paths" must be a list/,
    ],
    ['a shared path out of the release', ['app = "guestbook"', 'shared_paths = ["../x"]'], /not a path/],
    ['a file that is no TOML', ['app = '], /pyproject.toml cannot be read/],
  ])('refuses %s', async (_, lines, reason) => {
    const pyproject = ['[tool.pybundle]', ...lines, ''].join('\n')
    const release = await workshop.publish({ 'pyproject.toml': pyproject }, { wheels: FIVE })
    expect((await target.run('prepare', release)).verdict).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(reason),
    })
  })

  it.each<[string, object, RegExp]>([
    ['machine', { machine: 'pdp11' }, /the bundle is for pdp11, this target is/],
    ['C library', { libc: ['glibc', '9.99'] }, /the bundle needs glibc 9.99, this target has/],
    ['Python', { python: '3.99' }, /the bundle needs Python 3.99; this target has 3\./],
  ])('refuses a bundle for another %s, and says which is which', async (_, platform, reason) => {
    const { verdict, exitCode } = await target.run('prepare', await publish({}, [], { platform }))
    expect(verdict).toMatchObject({ outcome: 'refused', reason: expect.stringMatching(reason) })
    expect(exitCode).toBe(3)
  })

  it('fails with the name of a dependency that the bundle lacks', async () => {
    const wheels = [{ name: 'alpha', version: '1.0', requires: ['omega>=2'] }]
    const { verdict } = await target.run('prepare', await publish({}, [], { wheels }))
    expect(verdict.outcome).toBe('failed')
    expect(verdict.log).toContain('alpha 1.0 requires omega, which is not installed')
  })

  it('leaves a release alone that some other environment asks for', async () => {
    const { config } = target
    target.config = { ...config, environment: 'production' }
    const { verdict } = await target.run('prepare', await publish({}))
    target.config = config
    expect(verdict).toMatchObject({
      outcome: 'refused',
      reason: 'this target is of the environment "staging"',
    })
  })

  it('refuses a token older than one it has seen', async () => {
    const fresh = await workshop.newTarget()
    await fresh.run('prune', undefined, { token: 7 }).catch(() => undefined)
    const { verdict } = await fresh.run('prepare', await publish({}), { token: 6 })
    expect(verdict).toMatchObject({
      outcome: 'refused',
      reason: 'token 6 is older than 7: its rollout is over',
    })
  })

  it('takes no value that is not shaped as it must be', async () => {
    const release = { id: '../../../etc', digests: { bundle: '', code: '' } }
    const { verdict } = await target.run('prepare', release)
    expect(verdict).toMatchObject({ outcome: 'refused', reason: 'release is not "../../../etc"' })
  })

  it('writes its progress to the deploy log', () => {
    expect(target.read('log/deploy.log')).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:]+Z prepare [0-9a-f]{12}: fetching document verify\n.*fetching document prepare\n/,
    )
  })
})

describe('what was altered on its way', () => {
  const record = (id: string) => `${SCOPE.environment}/${SCOPE.app}/releases/${id}.json`

  it('fails where the code is not the released code', async () => {
    const release = await publish({ 'app.py': '4\n' })
    const other = workshop.bucket.put(
      'staging/guestbook/code/a.tar.gz',
      await filesAsTarGz({ 'evil.py': '' }),
    )
    repin(release.id, { code: other })
    const { verdict } = await target.run('prepare', release)
    expect(verdict).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/is not the released code/),
    })
    expect(target.has('releases', release.id)).toBe(false)
  })

  it.each<[string, (bytes: Buffer) => void, RegExp]>([
    [
      'a flipped bit in a wheel',
      (bytes) => flip(bytes, 'VERSION = "2.'),
      /alpha-2.\d-py3-none-any.whl" in the bundle is damaged: its sha256 is/,
    ],
    [
      'a flipped bit in its pybundle.json',
      (bytes) => flip(bytes, '"format"'),
      /not the released bundle|cannot be read/,
    ],
    ['a lost end', (bytes) => bytes.fill(0, bytes.length - 200), /not a bundle|cannot be read/],
  ])('fails where the bundle has %s', async (_, alter, reason) => {
    const wheels = [{ name: 'alpha', version: `2.${alterations++}` }]
    const release = await publish({}, [], { wheels })
    const pinned = JSON.parse(workshop.bucket.body(record(release.id)).toString())
    const bytes = Buffer.from(workshop.bucket.body(pinned.bundle.key))
    alter(bytes)
    repin(release.id, { bundle: workshop.bucket.put(pinned.bundle.key, bytes) })
    const { verdict } = await target.run('prepare', release)
    expect(verdict).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(reason) })
  })

  let alterations = 1
  function repin(id: string, more: Record<string, object>) {
    const pinned = JSON.parse(workshop.bucket.body(record(id)).toString())
    for (const [part, where] of Object.entries(more)) Object.assign(pinned[part], where)
    workshop.bucket.put(record(id), JSON.stringify(pinned))
  }

  function flip(bytes: Buffer, at: string) {
    const index = bytes.indexOf(at)
    bytes.writeUInt8(bytes.readUInt8(index) ^ 1, index)
  }
})

describe('a shared folder', () => {
  it('may be a link that the app has laid, and is then left as it is', async () => {
    mkdirSync(join(target.root, 'elsewhere'))
    symlinkSync(join(target.root, 'elsewhere'), target.path('shared/uploads'))
    await target.run('prepare', await publish({ 'app.py': '5\n' }, ['shared_paths = ["uploads"]']))
    expect(readFileSync(target.path('log/deploy.log'), 'utf8')).toContain('done. prepared')
    expect(lstatSync(target.path('shared/uploads')).isSymbolicLink()).toBe(true)
  })

  it('fits its verdict into what the agent keeps, whatever a hook says', async () => {
    const release = await publish({}, [`prepare_command = "yes ${'🍵'.repeat(600)} | head -50; false"`])
    const { verdict, output } = await target.run('prepare', release)
    expect(verdict.reason).toContain('prepare_command failed with exit code 1: yes 🍵')
    expect(Buffer.byteLength(output)).toBeLessThanOrEqual(2001)
  })
})
