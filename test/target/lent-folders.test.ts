import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PublishedRelease } from './artifacts.ts'
import type { TestTarget } from './target.ts'
import { Workshop } from './workshop.ts'

const PYTHON = '/usr/bin/python3'
const isPossible =
  process.getuid?.() === 0 && existsSync(PYTHON) && spawnSync(PYTHON, ['-m', 'venv', '-h']).status === 0
if (!isPossible)
  console.warn('not root, or no /usr/bin/python3: folders lent to the app’s user were not tried')

const NOBODY = 65534

describe.skipIf(!isPossible)('a folder that was the app’s user’s for a while', () => {
  let workshop: Workshop
  let target: TestTarget
  let victim: string
  beforeAll(async () => {
    workshop = await Workshop.open('lent')
    chmodSync(workshop.folder, 0o755)
    target = await workshop.newTarget({ user: 'nobody' })
    target.runAs(PYTHON, [])
    victim = join(workshop.folder, 'victim')
    writeFileSync(victim, 'root’s')
  })
  afterAll(() => workshop.close())

  /** A release whose hook is this script. */
  function withHook(script: string): Promise<PublishedRelease> {
    const version = execFileSync(PYTHON, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
    return workshop.publishApp(
      { settings: ['prepare_command = "sh hook.sh"'], files: { 'hook.sh': script } },
      { platform: { python: version.toString().trim() } },
    )
  }

  function ofNobody(): string {
    const places = ['releases', 'venvs', 'wheels'].map((name) => target.path(name))
    const writable = ['(', '-user', 'nobody', '-o', '-perm', '/022', ')', '!', '-type', 'l']
    return execFileSync('find', [...places, ...writable], { encoding: 'utf8' })
  }

  it('leads root through no link that was laid where its marker is written', async () => {
    const release = await withHook(
      `for name in .pybundle-release.json .pybundle-release.json.new .ready; do ln -s ${victim} $name; done`,
    )
    const { verdict } = await target.run('prepare', release)
    expect(verdict).toMatchObject({ outcome: 'done', reason: 'prepared' })
    expect(readFileSync(victim, 'utf8')).toBe('root’s')
    expect(lstatSync(target.path('releases', release.id, '.pybundle-release.json')).isFile()).toBe(true)
    expect((await target.run('status')).verdict.prepared).toContain(release.id)
  })

  it('is not believed to be prepared because a hook that was killed has written so', async () => {
    const go = join(workshop.folder, 'go')
    const release = await withHook(
      `[ -e ${go} ] || { echo '{"venv": "x"}' >.pybundle-release.json; touch planted; sleep 600; }`,
    )
    const child = target.start('prepare', release)
    await until(() => target.has('releases', release.id, 'planted'))
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    writeFileSync(go, '')
    const { verdict } = await target.run('prepare', release)
    expect(verdict).toMatchObject({ outcome: 'done', reason: 'prepared' })
  })

  it('is written to by nothing that a hook has left running', async () => {
    const stays = join(workshop.folder, 'stays')
    mkdirSync(stays, { mode: 0o777 })
    chmodSync(stays, 0o777)
    const daemon = [
      'import os, time',
      'if os.fork(): os._exit(0)',
      'os.setsid(); os.closerange(0, 99)',
      `open("${stays}/pid", "w").write(str(os.getpid()))`,
      'while True: open("late-%d" % time.monotonic_ns(), "w")',
    ].join('\n')
    const script = `python - <<'END'\n${daemon}\nEND\nuntil [ -s ${stays}/pid ]; do :; done\n`
    const { verdict } = await target.run('prepare', await withHook(script))
    expect(verdict.reason).toBe('prepared')
    expect(existsSync(`/proc/${readFileSync(join(stays, 'pid'), 'utf8')}`)).toBe(false)
    expect(ofNobody()).toBe('')
  })

  it('is read-only to the app, and still all that it could read', async () => {
    const release = await withHook(
      'umask 077; mkdir static; echo tea >static/menu; chmod 4755 hook.sh; ln hook.sh hard',
    )
    await target.run('prepare', release)
    const home = target.path('releases', release.id)
    const read = [
      '-c',
      `import os; os.setgid(${NOBODY}); os.setuid(${NOBODY}); print(open("static/menu").read())`,
    ]
    expect(execFileSync(PYTHON, read, { cwd: home, encoding: 'utf8' })).toBe('tea\n\n')
    expect(statSync(join(home, 'hook.sh')).mode & 0o7777).toBe(0o755)
    expect(ofNobody()).toBe('')
  })

  it('has no folders made in what is shared by root, behind a link of the app’s user', async () => {
    const outside = join(workshop.folder, 'outside')
    mkdirSync(outside)
    const settings = ['shared_paths = ["media", "media/a/b"]']
    const { home } = target
    mkdirSync(join(home, 'shared'), { recursive: true })
    execFileSync('ln', ['-s', outside, join(home, 'shared/media')])
    const version = execFileSync(PYTHON, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'])
    const platform = { python: version.toString().trim() }
    const { verdict } = await target.run('prepare', await workshop.publishApp({ settings }, { platform }))
    expect(verdict.reason).toBe('the shared path "media/a/b" lies behind a link')
    expect(existsSync(join(outside, 'a'))).toBe(false)
  })

  describe('is no place where the app’s user could have put what root goes by', () => {
    async function prepareIn(base: string, lay: (other: TestTarget) => void) {
      const other = await workshop.newTarget({ user: 'nobody', base })
      other.runAs(PYTHON, [])
      lay(other)
      return { other, ...(await other.run('prepare', await withHook(''))).verdict }
    }
    const refusal = (folder: string) => ({
      outcome: 'refused',
      reason: `${folder} must be root's, and nobody else may write there`,
    })
    const folderOf = (path: string, owner: number, mode = 0o755) => {
      mkdirSync(path, { recursive: true })
      chownSync(path, owner, owner)
      chmodSync(path, mode)
    }

    it('neither the app’s folder itself', async () => {
      const told = await prepareIn('/opt/pybundle', ({ home }) => folderOf(home, NOBODY))
      expect(told).toMatchObject(refusal(told.other.home))
    })

    it('nor one far above it, and then nothing is made there, nor where a link leads', async () => {
      const elsewhere = join(workshop.folder, 'elsewhere')
      folderOf(elsewhere, 0)
      const told = await prepareIn('/home/shop/deep/base', ({ root }) => {
        folderOf(join(root, 'home/shop/deep/base'), NOBODY)
        symlinkSync(elsewhere, join(root, 'home/shop/deep/base/guestbook'))
        folderOf(join(root, 'home/shop'), NOBODY)
      })
      expect(told).toMatchObject(refusal(join(told.other.root, 'home/shop')))
      expect(readdirSync(elsewhere)).toEqual([])
    })

    it('nor one in which everybody may write, unless it is sticky', async () => {
      const open = await prepareIn('/open/base', ({ root }) => folderOf(join(root, 'open'), 0, 0o777))
      expect(open).toMatchObject(refusal(join(open.other.root, 'open')))
      const sticky = await prepareIn('/open/base', ({ root }) => folderOf(join(root, 'open'), 0, 0o1777))
      expect(sticky.outcome).toBe('done')
    })

    it('nor behind a link, unless all is root’s there as well', async () => {
      const real = join(workshop.folder, 'real')
      folderOf(join(real, 'disk'), 0)
      const lay = ({ root }: TestTarget) => symlinkSync(join(real, 'disk'), join(root, 'base'))
      expect((await prepareIn('/base', lay)).outcome).toBe('done')
      expect(readdirSync(join(real, 'disk/guestbook'))).toContain('releases')
      folderOf(real, NOBODY)
      expect(await prepareIn('/base', lay)).toMatchObject(refusal(real))
    })
  })
})

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20))
}
