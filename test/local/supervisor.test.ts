import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askSupervisor, controlPath } from '../../local/supervisor/control.ts'
import { parseEnvFile } from '../../local/supervisor/env-file.ts'

const PROGRAM = fileURLToPath(new URL('../../local/targets/supervisor.ts', import.meta.url))

/** Answers with what a real app knows of itself; slow to start, or with a child that ignores SIGTERM, if told so. */
const APP = `
import http.server, json, os, signal, socket, subprocess, sys, time
assert os.environ.pop('LISTEN_PID') == str(os.getpid()) and os.environ['LISTEN_FDS'] == '1'
stubborn = ['/bin/sh', '-c', "trap '' TERM; while :; do sleep 0.1; done"]
child = subprocess.Popen(stubborn).pid if 'STUBBORN' in os.environ else None
time.sleep(float(os.environ.get('START_SECONDS', '0')))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/exit': os._exit(7)
        about = {'pid': os.getpid(), 'child': child, 'cwd': os.getcwd(), 'path': os.environ['PATH'].split(':'),
                 'greeting': os.environ.get('GREETING')}
        body = json.dumps(about).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(('127.0.0.1', 0), Handler, bind_and_activate=False)
server.socket = socket.socket(fileno=3); server.socket.setblocking(True)
server.serve_forever()
`

let folder: string
let address: string
let supervisor: ReturnType<typeof spawn>

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'supervisor-')))
  address = `127.0.0.1:${await freePort()}`
  writeEnv({ GREETING: 'こんにちは' })
  mkdirSync(join(folder, 'app', 'releases'), { recursive: true })
})

afterEach(async () => {
  if (supervisor?.exitCode === null && supervisor.signalCode === null) {
    supervisor.kill('SIGTERM')
    await once(supervisor, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
})

test('serves the app of the current release, in its resolved folder, with the environment of the file', async () => {
  useRelease('aaaaaaaaaaaa')
  start()
  const about = await askApp()
  const release = join(folder, 'app', 'releases', 'aaaaaaaaaaaa')
  expect(about).toMatchObject({ cwd: release, greeting: 'こんにちは' })
  expect(about.path).toContain(join(release, '.venv', 'bin'))
  expect(await askSupervisor(runDir(), 'status')).toMatchObject({ pid: about.pid, release: 'aaaaaaaaaaaa' })
})

test('serves connections that were made during a restart, and leaves no process of the old release', async () => {
  writeEnv({ STUBBORN: 'yes' })
  useRelease('aaaaaaaaaaaa')
  start()
  const before = await askApp()
  useRelease('bbbbbbbbbbbb')
  writeEnv({ START_SECONDS: '0.5' })
  const restarted = cli('restart')
  const during = await Promise.all(Array.from({ length: 20 }, () => askApp()))
  const { stdout } = await restarted
  const after = await askApp()
  expect(before.child).not.toBeNull()
  expect(stdout.trim()).toBe(String(after.pid))
  expect(after).toMatchObject({ cwd: join(folder, 'app', 'releases', 'bbbbbbbbbbbb'), greeting: null })
  for (const answer of during) expect([before.pid, after.pid]).toContain(answer.pid)
  expect(isAlive(before.pid) || isAlive(Number(before.child))).toBe(false)
})

test('keeps connections waiting while there is no release, and starts the first one when told to', async () => {
  start()
  expect(await askSupervisor(runDir(), 'status')).toMatchObject({ pid: null, release: null })
  expect((await cli('restart')).stdout.trim()).toBe('no current release: nothing runs')
  const early = askApp()
  useRelease('aaaaaaaaaaaa')
  await cli('restart')
  expect((await early).cwd).toMatch(/aaaaaaaaaaaa$/)
})

test('starts an app again that ended by itself', async () => {
  useRelease('aaaaaaaaaaaa')
  start()
  const before = await askApp()
  await expect(fetch(`http://${address}/exit`)).rejects.toThrow()
  const after = await askApp()
  expect(after.pid).not.toBe(before.pid)
})

test('leaves what runs alone when the release to start has no web line', async () => {
  useRelease('aaaaaaaaaaaa')
  start()
  const before = await askApp()
  useRelease('bbbbbbbbbbbb', 'worker: sleep 1\n')
  await expect(cli('restart')).rejects.toThrow(/bbbbbbbbbbbb\/Procfile" has no line "web: COMMAND"/)
  expect((await askApp()).pid).toBe(before.pid)
})

test('ends the app when it is told to stop', async () => {
  useRelease('aaaaaaaaaaaa')
  start()
  const { pid } = await askApp()
  const ended = once(supervisor, 'exit')
  await cli('stop')
  expect(await ended).toEqual([0, null])
  expect(isAlive(pid)).toBe(false)
})

test('ends the app even when the supervisor is killed', async () => {
  useRelease('aaaaaaaaaaaa')
  start()
  const { pid } = await askApp()
  supervisor.kill('SIGKILL')
  await once(supervisor.stderr ?? supervisor, 'close')
  expect(isAlive(pid)).toBe(false)
})

test('writes what the app says to log/web.log', async () => {
  useRelease('aaaaaaaaaaaa', 'web: echo 起動しました\n')
  start()
  await cli('restart')
  await cli('stop')
  expect(readFileSync(join(folder, 'app', 'log', 'web.log'), 'utf8')).toContain('起動しました')
})

test('says which address is in use', async () => {
  const other = createServer().listen(Number(address.split(':')[1]), '127.0.0.1')
  await once(other, 'listening')
  start()
  let said = ''
  supervisor.stderr?.on('data', (chunk) => {
    said += chunk
  })
  expect(await once(supervisor, 'close')).toEqual([1, null])
  other.close()
  expect(said).toContain(`cannot listen on "${address}" (LISTEN)`)
})

test('finds a short path for the control socket of a deep folder', () => {
  expect(controlPath(`/tmp/${'deep/'.repeat(30)}`).length).toBeLessThan(104)
  expect(controlPath('/tmp/run')).toBe('/tmp/run/supervisor.sock')
})

test('reads an environment file as systemd does', () => {
  const text = '# a comment\nLISTEN=127.0.0.1:1\n\n; another\nA="two words"\r\nB=x=y\nEMPTY=\nnonsense\n'
  expect(parseEnvFile(text)).toEqual({ LISTEN: '127.0.0.1:1', A: 'two words', B: 'x=y', EMPTY: '' })
})

interface AboutApp {
  pid: number
  child: number | null
  cwd: string
  path: string[]
  greeting: string | null
}

/** Waits for the first answer; from then on no connection may be refused. */
async function askApp(): Promise<AboutApp> {
  for (;;) {
    try {
      const about = (await (await fetch(`http://${address}/`)).json()) as AboutApp
      hasAnswered = true
      return about
    } catch (error) {
      const isRefused = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED'
      // Reset: accepted by an app that then ended; this one does not finish what it has begun.
      if ((isRefused && hasAnswered) || Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

let hasAnswered = false
let deadline = 0

function start(): void {
  deadline = Date.now() + 10_000
  hasAnswered = false
  const args = [
    PROGRAM,
    'run',
    '--app-dir',
    join(folder, 'app'),
    '--env-file',
    join(folder, 'env'),
    '--run-dir',
    runDir(),
  ]
  supervisor = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe'] })
}

const cli = (command: string) =>
  promisify(execFile)(process.execPath, [PROGRAM, command, '--run-dir', runDir()])
const runDir = () => join(folder, 'run')

function useRelease(id: string, procfile = 'web: python3 app.py\n'): void {
  const release = join(folder, 'app', 'releases', id)
  mkdirSync(release)
  writeFileSync(join(release, 'app.py'), APP)
  writeFileSync(join(release, 'Procfile'), procfile)
  rmSync(join(folder, 'app', 'current'), { force: true })
  symlinkSync(`releases/${id}`, join(folder, 'app', 'current'))
}

function writeEnv(values: Record<string, string>): void {
  const lines = Object.entries({ LISTEN: address, ...values }).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(join(folder, 'env'), lines.join(''))
}

/** An orphan that has ended is no process any more, though where nobody reaps it has an id. */
function isAlive(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout.trim() !== '' && !stdout.startsWith('Z')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
