import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { sha256 } from '../../lib/release/digest.ts'
import { buildWheels, copyExample, makeVirtualenv, pip } from './python.ts'
import { ServedApp } from './served-app.ts'

let folder: string
let virtualenv: string
let app: ServedApp

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'guestbook-'))
  await Promise.all([
    buildWheels(copyExample('guestbook', join(folder, 'first')), join(folder, 'first-wheels')),
    buildWheels(copyExample('guestbook', join(folder, 'second'), [2]), join(folder, 'second-wheels')),
  ])
  virtualenv = await makeVirtualenv(join(folder, 'virtualenv'))
  const wheels = join(folder, 'second-wheels')
  const files = readdirSync(wheels).map((wheel) => join(wheels, wheel))
  const install = ['install', '--isolated', '--no-index', '--no-compile', ...files]
  await pip(install, folder, join(virtualenv, 'bin', 'python'))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

beforeEach(async () => {
  app = new ServedApp('guestbook', virtualenv)
  await app.start()
})

afterEach(() => app.stop())

test('builds the same wheels in another folder, and one more for revision 2', () => {
  const first = digests(join(folder, 'first-wheels'))
  const second = digests(join(folder, 'second-wheels'))
  const { 'mini_ago-1.0.0-py3-none-any.whl': added, ...same } = second
  expect(Object.keys(first)).toHaveLength(5)
  expect(same).toEqual(first)
  expect(added).toBeDefined()
})

test('has one build backend, copied into each package', () => {
  const packages = [...vendored('first'), ...vendored('second')]
  const backends = new Set(packages.map((path) => readFileSync(join(path, 'build', 'backend.py'), 'utf8')))
  expect(backends.size).toBe(1)
})

test('is unhealthy until its database is migrated, and says in its log what it lacks', async () => {
  const release = await app.use('aaaaaaaaaaaa')
  const before = await app.fetch('/health')
  expect(before.status).toBe(503)
  expect(await before.json()).toMatchObject({ release: 'aaaaaaaaaaaa', migration: 0, status: 'failed' })
  expect(app.log()).toContain('the database lacks 0001_entries')

  await app.migrate(release)
  const after = await app.fetch('/health')
  expect([after.status, after.headers.get('x-release')]).toEqual([200, 'aaaaaaaaaaaa'])
  expect(await after.json()).toMatchObject({ release: 'aaaaaaaaaaaa', migration: 1, status: 'ok' })
})

test('says whether there is something to migrate, without making a database', async () => {
  const release = await app.use('aaaaaaaaaaaa')
  const check = () => app.python(release, ['-m', 'guestbook', 'migrate', '--check'])
  await expect(check()).rejects.toMatchObject({ code: 1, stdout: 'pending: 0001_entries\n' })
  expect(readdirSync(join(app.folder, 'data'))).toEqual([])
  await app.migrate(release)
  expect((await check()).stdout).toBe('nothing to migrate\n')
})

test('shows who signed it, as text', async () => {
  await app.migrate(await app.use('aaaaaaaaaaaa'))
  const signed = await app.fetch('/', {
    method: 'POST',
    body: new URLSearchParams({ name: '太郎', message: '<b>&' }),
  })
  expect(signed.status).toBe(303)
  expect(await app.page()).toContain('<li><b>太郎</b>: &lt;b&gt;&amp;')
})

test('asks for what is missing in a form', async () => {
  await app.migrate(await app.use('aaaaaaaaaaaa'))
  const refused = await app.fetch('/', { method: 'POST', body: new URLSearchParams({ name: '太郎' }) })
  expect([refused.status, await refused.text()]).toEqual([
    400,
    expect.stringContaining('A name and a message'),
  ])
})

test('finishes a request that was under way when it was told to restart', async () => {
  await app.migrate(await app.use('aaaaaaaaaaaa'))
  const [host, port] = app.address.split(':')
  const slow = connect(Number(port), host)
  slow.write('GET /health HTTP/1.1\r\nHost: guestbook\r\n')
  await app.page() // connections are accepted in their order: the slow one is in the old app's hands
  const restarted = app.use('bbbbbbbbbbbb')
  await vi.waitUntil(() => app.log().includes('finishes what it has begun'), { timeout: 5000, interval: 5 })
  slow.write('\r\n')
  expect(await text(slow)).toContain('X-Release: aaaaaaaaaaaa')
  await restarted
  expect((await app.fetch('/health')).headers.get('x-release')).toBe('bbbbbbbbbbbb')
})

test('serves its first revision on the database of the second', async () => {
  await app.migrate(await app.use('aaaaaaaaaaaa', [2]))
  await app.use('bbbbbbbbbbbb')
  const body = new URLSearchParams({ name: '太郎', message: 'こんにちは' })
  expect((await app.fetch('/', { method: 'POST', body })).status).toBe(303)
  expect(await (await app.fetch('/health')).json()).toMatchObject({ migration: 2, status: 'ok' })
})

test('asks in revision 2 where a visitor comes from, once migrated', async () => {
  await app.migrate(await app.use('aaaaaaaaaaaa'))
  const release = await app.use('bbbbbbbbbbbb', [2])
  expect((await app.fetch('/health')).status).toBe(503)
  expect(await app.migrate(release)).toBe('applied 0002_place\n')
  expect((await app.fetch('/health')).status).toBe(200)
  await app.fetch('/', {
    method: 'POST',
    body: new URLSearchParams({ name: '太郎', message: 'a', place: '京都' }),
  })
  expect(await app.page()).toMatch(/<b>太郎<\/b> 京都: a <small>たった今/)
})

test('is unhealthy in revision 3, which serves pages but lacks a setting', async () => {
  const release = await app.use('aaaaaaaaaaaa', [2, 3])
  await app.python(release, ['-m', 'guestbook', 'check'])
  await app.migrate(release)
  expect((await app.fetch('/')).status).toBe(200)
  const health = await app.fetch('/health')
  expect(health.status).toBe(503)
  expect(app.log()).toContain('OWNER_ADDRESS is not set')
})

test.each([[[2, 4]], [[2, 3, 4]]])('is healthy again with revisions %j', async (revisions) => {
  await app.migrate(await app.use('aaaaaaaaaaaa', revisions))
  expect((await app.fetch('/health')).status).toBe(200)
  expect(await app.page()).toContain('一言どうぞ')
})

function digests(wheels: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(wheels).map((wheel) => [wheel, sha256(readFileSync(join(wheels, wheel)))]),
  )
}

function vendored(copy: string): string[] {
  const vendor = join(folder, copy, 'vendor')
  return readdirSync(vendor).map((name) => join(vendor, name))
}
