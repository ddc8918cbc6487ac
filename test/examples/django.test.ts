import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { mayUseIndex } from '../index/package-index.ts'
import { copyExample, makeVirtualenv, pip } from './python.ts'
import { ServedApp } from './served-app.ts'

const folder = mkdtempSync(join(tmpdir(), 'noticeboard-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe.runIf(await mayUseIndex('the Django example'))('the Django example', () => {
  let virtualenv: string
  let app: ServedApp

  beforeAll(async () => {
    virtualenv = await makeVirtualenv(join(folder, 'virtualenv'))
    const example = copyExample('django', join(folder, 'example'), [2])
    const install = ['install', '-r', 'requirements.txt']
    await pip(install, example, join(virtualenv, 'bin', 'python'), process.env)
  })

  beforeEach(async () => {
    app = new ServedApp('django', virtualenv)
    await app.start()
  })

  afterEach(() => app.stop())

  test('is unhealthy until its database is migrated and its static files are collected', async () => {
    const release = await app.use('aaaaaaaaaaaa')
    expect(await (await app.fetch('/health')).json()).toMatchObject({ migration: 0, status: 'failed' })
    await app.migrate(release)
    expect((await app.fetch('/health')).status).toBe(503)
    await collectStatic(release)
    await app.activate(release)
    expect((await app.fetch('/health')).status).toBe(200)
    expect(app.log()).toContain('the database lacks 0001_initial')
    expect(app.log()).toContain('static_files_are_collected')
  })

  test('serves the board and its style, and logs in Japanese', async () => {
    await serve([])
    const health = await app.fetch('/health')
    expect([health.status, health.headers.get('x-release')]).toEqual([200, 'aaaaaaaaaaaa'])
    expect(await health.json()).toMatchObject({ release: 'aaaaaaaaaaaa', migration: 1, status: 'ok' })
    expect(await post({ text: 'こんにちは' })).toBe(302)
    const page = await app.page()
    expect(page).toContain('<li>こんにちは')
    const [style = ''] = /\/static\/noticeboard\/board\.[0-9a-f]+\.css/.exec(page) ?? []
    expect((await app.fetch(style)).status).toBe(200)
    expect(app.log()).toContain('お知らせを掲示しました: こんにちは')
  })

  test('has authors in revision 2, and its first revision still posts to that database', async () => {
    await serve([2])
    expect(await post({ text: 'a', author: '花子' })).toBe(302)
    expect(await app.page()).toMatch(/<b>花子<\/b>: a <small>now/)
    await serve([], 'bbbbbbbbbbbb')
    expect(await (await app.fetch('/health')).json()).toMatchObject({
      migration: 2,
      status: 'ok',
    })
    expect(await post({ text: 'b' })).toBe(302)
  })

  test('is unhealthy in revision 3, which serves pages but lacks a setting', async () => {
    await serve([2, 3])
    expect((await app.fetch('/')).status).toBe(200)
    expect((await app.fetch('/health')).status).toBe(503)
    expect(app.log()).toContain('OWNER_ADDRESS is not set')
  })

  test.each([[[2, 4]], [[2, 3, 4]]])('is healthy again with revisions %j', async (revisions) => {
    await serve(revisions)
    expect((await app.fetch('/health')).status).toBe(200)
    expect(await app.page()).toContain('一言どうぞ')
  })

  /** As a target does: collect, migrate, and only then start. */
  async function serve(revisions: number[], id = 'aaaaaaaaaaaa'): Promise<void> {
    const release = app.lay(id, revisions)
    await collectStatic(release)
    await app.migrate(release)
    await app.activate(release)
  }

  const collectStatic = (release: string) => app.python(release, ['manage.py', 'collectstatic', '--noinput'])

  async function post(fields: Record<string, string>): Promise<number> {
    const page = await app.fetch('/')
    const [cookie = ''] = (page.headers.get('set-cookie') ?? '').split(';')
    const [, token = ''] = /name="csrfmiddlewaretoken" value="(\w+)"/.exec(await page.text()) ?? []
    const body = new URLSearchParams({ ...fields, csrfmiddlewaretoken: token })
    return (await app.fetch('/', { method: 'POST', body, headers: { cookie } })).status
  }
})
