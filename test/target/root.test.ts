import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Signer } from '../signer.ts'
import { writeWheel } from './artifacts.ts'
import { ask, newRequestId, statementFor } from './signed-requests.ts'
import { Workshop } from './workshop.ts'

const PYTHON = '/usr/bin/python3'
const isPossible =
  process.getuid?.() === 0 && existsSync(PYTHON) && spawnSync(PYTHON, ['-m', 'venv', '-h']).status === 0
if (!isPossible)
  console.warn('not root, or no /usr/bin/python3: that root drops to the app’s user was not tried')

/** What code of the upload would note if it ran as root. */
const telltale = (proof: string) =>
  `import os\nif os.getuid() == 0: open(${JSON.stringify(proof)}, "w").write("root")\n`

const HOOKS = ['prepare', 'migrate', 'activate', 'rollback'].flatMap((step) => [
  `before_${step}`,
  `after_${step}`,
])
/** Tells who it is, and whether its release can be altered. */
const HOOK = 'can=readonly; touch . 2>/dev/null && can=writable; echo $PYBUNDLE_HOOK $(id -u) $can'

describe.skipIf(!isPossible)('as root', () => {
  let workshop: Workshop
  beforeAll(async () => {
    workshop = await Workshop.open('root')
    chmodSync(workshop.folder, 0o755)
  })
  afterAll(() => workshop.close())

  it.each(['links', 'pip'])('runs nothing of a hostile pip, installing with %s', async (installer) => {
    const target = await workshop.newTarget({ user: 'nobody', installer })
    const proof = `${workshop.folder}/proof-of-pip`
    const version = execFileSync(PYTHON, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
    target.runAs(PYTHON, [])
    const folder = `${workshop.folder}/pip-${installer}`
    mkdirSync(folder)
    const told = telltale(proof)
    const seen = `${told}open("${folder}/ran-" + str(os.getuid()), "w")\n`
    const requirement = 'class Requirement:\n    def __init__(self, text): pass\n'
    const files = {
      'pip/__init__.py': seen,
      'pip/_vendor/__init__.py': told,
      'pip/_vendor/packaging/__init__.py': told,
      'pip/_vendor/packaging/requirements.py': told + requirement,
      'pip/_vendor/tomli.py': told,
      'pip/_internal/__init__.py': told,
      'pip/_internal/cli/__init__.py': told,
      'pip/_internal/cli/main.py': `${told}def main(arguments): return 0\n`,
      'pip/_internal/operations/install/wheel.py': told,
      'pip/_vendor/distlib/scripts.py': `SCRIPT_TEMPLATE = r'''${told}'''\n`,
    }
    chmodSync(folder, 0o777)
    const pip = await writeWheel(folder, { name: 'pip', version: '99.0', files })
    const release = await workshop.publishApp({}, { pip, platform: { python: version.toString().trim() } })
    const { verdict } = await target.run('prepare', release)
    expect(verdict.outcome).toBe('done')
    expect(existsSync(`${folder}/ran-65534`)).toBe(true)
    expect(existsSync(proof)).toBe(false)
  })

  it('has what was signed verified by nobody, who is not the app’s user', async () => {
    const ada = new Signer(workshop.folder)
    const target = await workshop.newTarget({ user: 'daemon', signers: [ada.publicKey] })
    target.runAs(PYTHON, [])
    const folder = join(workshop.folder, 'keygen')
    mkdirSync(folder)
    chmodSync(folder, 0o777)
    const real = execFileSync('sh', ['-c', 'command -v ssh-keygen'], { encoding: 'utf8' }).trim()
    const wrapper = `#!/bin/sh\nid -un >${folder}/who\nexec ${real} "$@"\n`
    writeFileSync(join(folder, 'ssh-keygen'), wrapper, { mode: 0o755 })
    target.environment.PATH = `${folder}:${target.environment.PATH}`
    const release = await workshop.publishApp()
    const rollout = newRequestId()
    ask(workshop.bucket, rollout, await ada.sign(statementFor(release, rollout)))
    await target.run('prepare', release, { rollout })
    expect(readFileSync(join(folder, 'who'), 'utf8')).toBe('nobody\n')
    expect(target.read('log/verify.log')).toContain('Good "pybundle-deploy" signature for publisher')
  })

  it('runs nothing of the upload: wheels, hooks, pip and checks run as the app’s user', async () => {
    const target = await workshop.newTarget({ user: 'nobody' })
    const version = execFileSync(PYTHON, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
    const proof = `${workshop.folder}/proof`
    target.runAs(PYTHON, [])
    const hostile = {
      'alpha/__init__.py': telltale(proof),
      'sitecustomize.py': telltale(proof),
      'alpha.pth': `import os; os.getuid() or open(${JSON.stringify(proof)}, "w").write("root")\n`,
    }
    const release = await workshop.publishApp(
      {
        settings: [
          'prepare_command = "id -u >who; python -c \\"import alpha\\""',
          'migrate_command = "id -u"',
          'migrate_check_command = "id -u; false"',
          'shared_paths = ["media"]',
          ...HOOKS.map((name) => `hooks.${name} = ${JSON.stringify(HOOK)}`),
        ],
      },
      {
        wheels: [{ name: 'alpha', version: '6.6', files: hostile }],
        platform: { python: version.toString().trim() },
      },
    )

    const { verdict } = await target.run('prepare', release)
    target.holdLock(1)
    const migrated = await target.run('migrate', release, { rollout: '20261122t101500z-0123abcd' })

    expect(verdict.outcome).toBe('done')
    expect(migrated.verdict.outcome).toBe('done')
    expect(existsSync(proof)).toBe(false)
    const who = target.path('releases', release.id, 'who')
    expect(readFileSync(who, 'utf8')).toBe('65534\n')
    expect(target.read('log/migrate-20261122t101500z-0123abcd.log')).toBe(
      'before_migrate 65534 readonly\n65534\nafter_migrate 65534 readonly\n',
    )
    expect(target.read('log/prepare.log')).toMatch(
      /before_prepare 65534 writable\n(.*\n)*after_prepare 65534 readonly\n$/,
    )
    await target.run('activate', release)
    await target.run('revert', release)
    expect(target.read('log/hooks.log').trim().split('\n')).toEqual([
      'before_activate 65534 readonly',
      'after_activate 65534 readonly',
      'before_rollback 65534 readonly',
      'after_rollback 65534 readonly',
    ])
    expect(statSync(who).uid).toBe(0)
    expect(statSync(target.path('shared/media')).uid).toBe(65534)
    const writable = ['-user', 'nobody', '-o', '-perm', '/022', '!', '-type', 'l']
    const places = ['releases', 'venvs', 'wheels', 'state', 'log'].map((name) => target.path(name))
    expect(execFileSync('find', [...places, ...writable], { encoding: 'utf8' })).toBe('')
  })

  it('prunes what only another user’s command line leads to, by a link', async () => {
    const target = await workshop.newTarget({ user: 'nobody' })
    target.runAs(PYTHON, [])
    const version = execFileSync(PYTHON, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
    const platform = { python: version.toString().trim() }
    const prepared = async (uid: number) => {
      const files = { 'wait.sh': 'echo waits; read forever', by: String(uid) }
      const release = await workshop.publishApp({ files }, { platform })
      await target.run('prepare', release)
      const link = join(target.root, `link-${uid}`)
      symlinkSync(target.path('releases', release.id), link)
      const running = spawn('sh', [join(link, 'wait.sh')], { cwd: '/', uid })
      await once(running.stdout, 'data')
      return { running, release }
    }
    const [own, other] = [await prepared(65534), await prepared(1)]
    await target.run('prune')
    const { verdict } = await target.run('status')
    for (const { running } of [own, other]) running.kill('SIGKILL')
    expect(verdict.prepared).toEqual([own.release.id])
  })
})
