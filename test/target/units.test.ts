import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { OwnSystemd, whyNoSystemd } from './own-systemd.ts'
import type { TestTarget } from './target.ts'
import { server, Workshop } from './workshop.ts'

const objection = whyNoSystemd()
if (objection) console.warn(`${objection}: restarting units was not tried`)

describe.skipIf(objection !== undefined)('systemd units', () => {
  let workshop: Workshop
  let systemd: OwnSystemd
  let target: TestTarget
  let token = 0
  beforeAll(async () => {
    workshop = await Workshop.open('units')
    chmodSync(workshop.folder, 0o755)
    systemd = new OwnSystemd(workshop.folder)
    target = await workshop.newServingTarget({
      health_seconds: 2,
      restart_command: null,
      units: ['web.service', '-beat.service', 'worker.service'],
    })
    systemd.writeUnit('web.service', unit('.venv/bin/python -u serve.py', 'Restart=always'))
    systemd.writeUnit(
      'worker.service',
      unit('.venv/bin/python -u worker.py', 'Type=notify', 'LogRateLimitIntervalSec=0'),
    )
    await systemd.start()
    target.runAs('/usr/bin/python3', systemd.prefix)
    target.alterProgram('RESTART_SECONDS = 90', 'RESTART_SECONDS = 3')
  })
  afterAll(async () => {
    await systemd?.stop()
    await workshop?.close()
  })

  function unit(command: string, ...more: string[]): string {
    return `[Unit]
DefaultDependencies=no
[Service]
User=nobody
WorkingDirectory=${target.path('current')}
EnvironmentFile=${target.root}/etc/guestbook.env
ExecStart=/bin/sh -c 'exec ${command}'
${more.join('\n')}
`
  }

  function publish(worker = WORKER, serve = server(200, 'hello')) {
    return workshop.publishApp({ files: { 'serve.py': serve, 'worker.py': worker, 'later.py': '' } })
  }

  const property = (name: string, unit: string) =>
    systemd.run('systemctl', 'show', `--property=${name}`, '--value', unit).trim()

  it('are all restarted, and one that is optional and missing is passed over', async () => {
    const first = await publish()
    const { verdict } = await target.deploy(first, ++token)
    expect(verdict).toMatchObject({ outcome: 'done', current: first.id })
    const before = ['web', 'worker'].map((name) => property('MainPID', name))
    const second = await publish(`${WORKER}# second\n`)
    expect((await target.deploy(second, ++token)).verdict).toMatchObject({
      outcome: 'done',
      current: second.id,
    })
    const after = ['web', 'worker'].map((name) => property('MainPID', name))
    expect(after.filter((pid) => pid === '0' || before.includes(pid))).toEqual([])
  })

  it('run with resolved paths: after the next switch, what is imported late is still the old release’s', async () => {
    const release = await publish(`${WORKER}# resolved\n`)
    await target.deploy(release, ++token)
    const pid = property('MainPID', 'web')
    const home = target.path('releases', release.id)
    expect(systemd.run('readlink', `/proc/${pid}/cwd`).trim()).toBe(home)
    const next = await publish(`${WORKER}# next\n`)
    await target.run('prepare', next, { token })
    rmSync(target.path('current'))
    symlinkSync(`releases/${next.id}`, target.path('current'))
    systemd.run('systemctl', 'kill', '--signal=USR1', 'worker')
    const journal = () => systemd.run('journalctl', '--unit=worker', '--output=cat', '--no-pager')
    await vi.waitFor(() => expect(journal()).toContain(`later ${home}/later.py`), 5000)
    expect(journal()).toContain(`cwd ${home} prefix ${home}/.venv`)
  })

  it.each([
    ['fails to start', 'raise SystemExit("no such table: tea")', 'the restart failed with exit code 1'],
    [
      'hangs while it starts',
      'import time\nprint("no such table: tea", flush=True)\ntime.sleep(987)',
      'the restart did not end within 3 s',
    ],
  ])('go back when one %s, with its journal in the verdict and in a log', async (_, worker, reason) => {
    const good = await publish(`${WORKER}# good\n`)
    await target.deploy(good, ++token)
    const bad = await publish(worker)
    const { verdict } = await target.deploy(bad, ++token)
    expect(verdict).toMatchObject({ outcome: 'reverted', reason, current: good.id })
    expect(verdict.log).toContain('no such table: tea')
    expect(target.read('log/journal.log')).toContain('no such table: tea')
    expect(property('ActiveState', 'worker')).toBe('active')
  })

  it('go back when one dies after it has started, however well another answers', async () => {
    const good = await publish(`${WORKER}# lives\n`)
    await target.deploy(good, ++token)
    const bad = await publish(WORKER.replace('while True:', 'raise SystemExit("no such queue")\nwhile True:'))
    const { verdict } = await target.deploy(bad, ++token)
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id })
    expect(verdict.reason).toMatch(/answers, but worker.service has failed$/)
    expect(verdict.log).toContain('no such queue')
  })

  it('go back from a release that does not end when it is told to', async () => {
    const stubborn = await publish(`import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n${WORKER}`)
    expect((await target.deploy(stubborn, ++token)).verdict.outcome).toBe('done')
    const { verdict } = await target.deploy(await publish(`${WORKER}# after\n`), ++token)
    expect(verdict).toMatchObject({ outcome: 'reverted', reason: 'the restart did not end within 3 s' })
    expect(verdict.current).toBe(stubborn.id)
    systemd.run('systemctl', 'kill', '--signal=KILL', 'worker')
  })

  it('go back from a release that crashes in a loop, though systemd has had enough of it', async () => {
    const good = await publish(`${WORKER}# steady\n`)
    await target.deploy(good, ++token)
    const bad = await publish(WORKER, 'raise SystemExit("no such table: tea")\n')
    const { verdict } = await target.deploy(bad, ++token)
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id })
    expect(verdict.log).toContain('no such table: tea')
  })

  it('may be optional where systemctl knows no --value, as before systemd 230', async () => {
    const bin = join(workshop.folder, 'bin')
    mkdirSync(bin)
    const refuse = 'case " $* " in *" --value "*) echo "systemctl: unrecognized option" >&2; exit 1; esac'
    writeFileSync(join(bin, 'systemctl'), `#!/bin/sh\n${refuse}\nexec /usr/bin/systemctl "$@"\n`)
    chmodSync(join(bin, 'systemctl'), 0o755)
    const { PATH } = target.environment
    target.environment.PATH = `${bin}:${PATH}`
    const release = await publish(`${WORKER}# no value\n`)
    const { verdict } = await target.deploy(release, ++token)
    target.environment.PATH = PATH ?? ''
    expect(verdict).toMatchObject({ outcome: 'done', current: release.id })
  })

  it('go back when one was started again by systemd, though it lives by now; and that count begins anew', async () => {
    const { config } = target
    const died = join(workshop.folder, 'died')
    mkdirSync(died, { mode: 0o777 })
    chmodSync(died, 0o777)
    systemd.writeUnit('frail.service', unit('.venv/bin/python -u frail.py', 'Type=notify', 'Restart=always'))
    target.config = { ...config, health_seconds: 4, units: ['web.service', 'frail.service'] }
    const good = await workshop.publishApp({ files: { 'frail.py': WORKER } })
    expect((await target.deploy(good, ++token)).verdict.outcome).toBe('done')
    const once = `import os\nagain = os.path.exists("${died}/once")\nopen("${died}/once", "w").close()\n`
    const frail = once + WORKER.replace('while True:', 'if not again: raise SystemExit("once")\nwhile True:')
    // It answers when the other has been started again, and waits for its signals.
    const serve = `import os, time\nwhile not os.path.exists("${died}/lives"): time.sleep(0.01)\n`
    const lives = frail.replace('while True:', `if again: open("${died}/lives", "w").close()\nwhile True:`)
    const bad = await workshop.publishApp({
      files: { 'serve.py': serve + server(200, 'hello'), 'frail.py': lives },
    })
    const { verdict } = await target.deploy(bad, ++token)
    target.config = config
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id })
    expect(verdict.reason).toMatch(/answers, but frail.service has failed$/)
    expect(property('NRestarts', 'frail')).toBe('0')
    systemd.run('systemctl', 'stop', 'frail')
  })

  it('lose no request while they restart, where a socket unit holds the socket', async () => {
    const { config } = target
    const [, port = ''] = /PORT="(\d+)"/.exec(target.readFile('etc/guestbook.env')) ?? []
    systemd.run('systemctl', 'stop', 'web', 'worker')
    systemd.writeUnit(
      'tea.socket',
      `[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=127.0.0.1:${port}\n`,
    )
    systemd.writeUnit('tea.service', unit('.venv/bin/python -u tea.py', 'TimeoutStopSec=10'))
    systemd.run('systemctl', 'daemon-reload')
    target.config = { ...config, units: ['tea.service'] }
    const pour = (release: string) => workshop.publishApp({ files: { 'tea.py': `${TEA}# ${release}\n` } })
    const [first, second] = [await pour('first'), await pour('second')]
    systemd.run('systemctl', 'start', 'tea.socket')
    expect((await target.deploy(first, ++token)).verdict.outcome).toBe('done')

    const switched = target.deploy(second, ++token)
    const asking = ask(`http://127.0.0.1:${port}`, switched)
    expect((await switched).verdict).toMatchObject({ outcome: 'done', current: second.id })
    const { served, failures } = await asking
    target.config = config
    systemd.run('systemctl', 'stop', 'tea.socket', 'tea')
    expect(failures).toEqual([])
    expect([...served]).toEqual([first.id, second.id])
  })

  it('go back also where their journal cannot be kept', async () => {
    const good = await publish(`${WORKER}# kept\n`)
    await target.deploy(good, ++token)
    rmSync(target.path('log/journal.log'), { force: true })
    mkdirSync(target.path('log/journal.log'))
    const { verdict } = await target.deploy(await publish('raise SystemExit("no tea")'), ++token)
    rmSync(target.path('log/journal.log'), { recursive: true })
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id })
  })

  it('keep no more of an endless journal than its end', async () => {
    await target.deploy(await publish(`${WORKER}# talks little\n`), ++token)
    const talks = WORKER.replace('while True:', 'print("tea\\n" * 30000, flush=True)\nwhile True:')
    const { verdict } = await target.deploy(await publish(talks, server(500, 'hello')), ++token)
    expect(verdict.outcome).toBe('reverted')
    expect(target.read('log/journal.log').split('\n').length).toBeLessThan(20_500)
  })
})

/** Takes the socket that systemd holds; answers slowly, and when it is told to end it finishes what it has begun. */
const TEA = `
import http.server, os, signal, socket, threading, time

class Tea(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.1)
        self.send_response(200)
        self.send_header("X-Release", os.path.basename(os.getcwd()))
        self.end_headers()

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False

server = Server(("127.0.0.1", 0), Tea, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.05)
server.server_close()
`

/** Four at a time, each request once, until the work is done; which releases answered, in which order they began to. */
async function ask(url: string, work: Promise<unknown>) {
  const served = new Set<string | null>()
  const failures: string[] = []
  let isOver = false
  void work.finally(() => {
    isOver = true
  })
  const client = async () => {
    while (!isOver) {
      await fetch(url, { headers: { connection: 'close' } }).then(
        ({ headers }) => served.add(headers.get('x-release')),
        (error: Error) => failures.push(String(error.cause ?? error)),
      )
    }
  }
  await Promise.all([client(), client(), client(), client()])
  return { served, failures }
}

/** Tells systemd that it is ready, and where it runs; imports only when it is asked to. */
const WORKER = `
import os, signal, socket, sys
def later(*_):
    import later
    print("later", later.__file__, flush=True)
signal.signal(signal.SIGUSR1, later)
print("cwd", os.getcwd(), "prefix", sys.prefix, flush=True)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    signal.pause()
`
