import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PublishedRelease } from './artifacts.ts'
import type { TestTarget } from './target.ts'
import { server, Workshop } from './workshop.ts'

let workshop: Workshop
let target: TestTarget
let good: PublishedRelease
beforeAll(async () => {
  workshop = await Workshop.open('activate')
  target = await workshop.newServingTarget({ health_seconds: 2 })
  good = await workshop.publishApp()
  await target.deploy(good)
})
afterAll(() => workshop.close())

const TRICKLING = `
import os, socket, time
listening = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), reuse_port=True)
while True:
    connection = listening.accept()[0]
    try:
        connection.send(b"HTTP/1.1 200 OK\\r\\nX-Tea: ")
        while connection.send(b"x"):
            time.sleep(0.1)
    except OSError:
        pass
`

async function served(from = target): Promise<string | null> {
  const port = /PORT="(\d+)"/.exec(from.readFile('etc/guestbook.env'))?.[1]
  return (await fetch(`http://127.0.0.1:${port}/`)).headers.get('x-release')
}

describe('activate', () => {
  it('switches, restarts, and proves that the new release answers', async () => {
    const release = await workshop.publishApp({ says: 'second' })

    const { verdict, exitCode } = await target.deploy(release, 2)

    expect([verdict.outcome, verdict.current, exitCode]).toEqual(['done', release.id, 0])
    expect(readlinkSync(target.path('current'))).toBe(`releases/${release.id}`)
    expect(await served()).toBe(release.id)
  })

  it('goes back from a release that answers well only every other time', async () => {
    const fickle = server(200, 'fickle').replace('send_response(200)', 'send_response(next(STATUS))')
    const files = { 'serve.py': `import itertools\nSTATUS = itertools.cycle([500, 200])\n${fickle}` }
    const release = await workshop.publishApp({ files })
    const serving = await served()
    target.config = { ...target.config, health_passes: 2 }
    const { verdict } = await target.deploy(release, 2)
    target.config = { ...target.config, health_passes: 1 }
    expect(verdict).toMatchObject({ outcome: 'reverted', current: serving })
  })

  it('can be checked later, and fails where the app is not healthy any more', async () => {
    const sick = join(workshop.folder, 'sick')
    const frail = `500 if os.path.exists(${JSON.stringify(sick)}) else 200`
    const serve = server(200, 'frail').replace('send_response(200)', `send_response(${frail})`)
    const release = await workshop.publishApp({ files: { 'serve.py': serve } })
    await target.deploy(release, 2)
    expect((await target.run('check', release, { token: 2 })).verdict).toMatchObject({
      outcome: 'done',
      reason: 'is still healthy',
    })
    writeFileSync(sick, '')
    const { verdict } = await target.run('check', release, { token: 2 })
    expect(verdict).toMatchObject({ outcome: 'failed', current: release.id })
    expect(verdict.reason).toContain('500')
    expect((await target.run('check', good, { token: 2 })).verdict.reason).toBe(`serves ${release.id} by now`)
  })

  it('restarts nothing when the release is active already', async () => {
    await target.deploy(good, 3)
    const before = await (await fetch(url())).text()

    const { verdict } = await target.run('activate', good, { token: 3 })

    expect(verdict.reason).toBe('was active already')
    expect(await (await fetch(url())).text()).toBe(before)
  })

  it('goes back by itself from a release that is unhealthy, and says why in the app’s own words', async () => {
    await target.deploy(good, 4)
    const bad = await workshop.publishApp({ status: 500, says: 'お茶が無い' })

    const { verdict, exitCode } = await target.deploy(bad, 5)

    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id, release: bad.id })
    expect(verdict.log).toMatch(/^お茶が無い\n127.0.0.1 .* 500 -$/)
    expect(verdict.reason).toMatch(/^not healthy within 2 s: http:\S+ answered 500: pid \d+$/)
    expect(exitCode).toBe(1)
    expect(await served()).toBe(good.id)
  })

  it('goes back when the restart command fails', async () => {
    const { config } = target
    await target.deploy(good, 8)
    const release = await workshop.publishApp({ says: 'never started' })
    const fails = join(target.root, 'fails.sh')
    writeFileSync(
      fails,
      `[ "$(readlink ${target.path('current')})" = releases/${good.id} ] || { echo no bus; exit 5; }\n`,
    )
    target.config = { ...config, restart_command: `sh ${fails}` }
    const { verdict } = await target.deploy(release, 9)
    target.config = config
    expect(verdict).toMatchObject({
      outcome: 'reverted',
      reason: 'the restart failed with exit code 5',
      log: 'no bus',
      current: good.id,
    })
  })

  it('tells little on standard error, however much the app says: the agent cuts both streams together', async () => {
    const { config } = target
    const release = await workshop.publishApp({ says: 'talkative' })
    const isGood = `[ "$(readlink ${target.path('current')})" = releases/${good.id} ]`
    target.config = { ...config, restart_command: `seq 5000; ${isGood} || exit 5` }
    const { verdict, output, progress } = await target.deploy(release, 9)
    target.config = config
    expect(verdict.reason).toContain('exit code 5')
    expect(Buffer.byteLength(output) + Buffer.byteLength(progress)).toBeLessThan(2400)
  })

  it('goes back when the restart command hangs, and leaves nothing of it running', async () => {
    const { config } = target
    await target.deploy(good, 9)
    target.alterProgram('RESTART_SECONDS = 90', 'RESTART_SECONDS = 1')
    const isGood = `[ "$(readlink ${target.path('current')})" = releases/${good.id} ]`
    target.config = {
      ...config,
      restart_command: `${isGood} || { yes floods | head -c 9999999; sleep 987; }`,
    }
    const { verdict, output } = await target.deploy(await workshop.publishApp({ says: 'hangs' }), 9)
    target.config = config
    target.alterProgram('RESTART_SECONDS = 1', 'RESTART_SECONDS = 90')
    expect(verdict).toMatchObject({ outcome: 'reverted', reason: 'the restart did not end within 1 s' })
    expect(Buffer.byteLength(output)).toBeLessThan(2100)
    expect(spawnSync('pgrep', ['-f', '^sleep 987$']).status).toBe(1)
  })

  it('goes back from a release whose answer never ends', async () => {
    await target.deploy(good, 9)
    target.alterProgram('ANSWER_SECONDS = 5', 'ANSWER_SECONDS = 1')
    const { verdict, seconds } = await target.deploy(
      await workshop.publishApp({ files: { 'serve.py': TRICKLING } }),
      9,
    )
    target.alterProgram('ANSWER_SECONDS = 1', 'ANSWER_SECONDS = 5')
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id })
    expect(verdict.reason).toContain('does not answer (not within 1 s)')
    expect(seconds).toBeLessThan(10)
  })

  it('goes back from a release that never answers, also where the alarm for it was lost', async () => {
    await target.deploy(good, 9)
    target.alterProgram('ANSWER_SECONDS = 5', 'ANSWER_SECONDS = 1')
    target.alterProgram('signal.alarm(seconds)', 'signal.alarm(0)')
    const { verdict } = await target.deploy(
      await workshop.publishApp({
        files: { 'serve.py': TRICKLING.replace('time.sleep(0.1)', 'time.sleep(99)') },
      }),
      9,
    )
    target.alterProgram('signal.alarm(0)', 'signal.alarm(seconds)')
    target.alterProgram('ANSWER_SECONDS = 1', 'ANSWER_SECONDS = 5')
    expect(verdict).toMatchObject({ outcome: 'reverted', current: good.id })
    expect(verdict.reason).toContain('does not answer (timed out)')
  })

  it('ends the restart command of an activation that was killed, before it runs the next', async () => {
    const { config } = target
    await target.deploy(good, 9)
    const next = await workshop.publishApp({ says: 'after a kill' })
    target.holdLock(9)
    await target.run('prepare', next, { token: 9 })
    const began = join(target.root, 'began')
    target.config = { ...config, restart_command: `: >${began}; sleep 986 & sleep 986` }
    const child = target.start('activate', next, { token: 9 })
    await until(() => existsSync(began))
    process.kill(-(child.pid ?? 0), 'SIGKILL')
    await once(child, 'exit')
    expect(spawnSync('pgrep', ['-f', '^sleep 986$']).status).toBe(0)
    target.config = config
    const { verdict } = await target.run('activate', next, { token: 9 })
    expect(verdict).toMatchObject({ outcome: 'done', current: next.id })
    expect(spawnSync('pgrep', ['-f', '^sleep 986$']).status).toBe(1)
  })

  it('is not held up by a restart command whose daemon keeps its output open', async () => {
    const { config } = target
    target.config = { ...config, restart_command: `sleep 9 & ${config.restart_command}` }
    const { verdict, seconds } = await target.deploy(await workshop.publishApp({ says: 'daemon' }), 10)
    target.config = config
    expect(verdict.outcome).toBe('done')
    expect(seconds).toBeLessThan(10)
  })

  it('believes no answer while a process of the old release holds the socket', async () => {
    const { config } = target
    const next = await workshop.publishApp({ says: 'next' })
    // Answers in the name of the next release, as a new worker that shares the socket would.
    const name = server(200, 'old').replace('os.path.basename(os.getcwd())', JSON.stringify(next.id))
    const old = await workshop.publishApp({ files: { 'serve.py': name } })
    target.config = { ...config, health_url: null }
    await target.deploy(old, 11)
    const stays = join(target.root, 'stays.sh')
    writeFileSync(stays, `[ -e ${target.path('current', 'old')} ] || exit 0; ${config.restart_command}`)
    target.config = { ...config, restart_command: `sh ${stays}` }
    const { verdict } = await target.deploy(next, 12)
    target.config = config
    expect(verdict.reason).toContain(`is also served by release ${old.id}`)
  })

  it('leaves nothing served where the first release does not start', async () => {
    const fresh = await workshop.newServingTarget({ health_seconds: 2 })
    const files = { 'serve.py': 'raise SystemExit("no such table: tea")\n' }
    const { verdict } = await fresh.deploy(await workshop.publishApp({ files }))
    expect(verdict).toMatchObject({ outcome: 'failed', current: null, log: 'no such table: tea' })
    expect(verdict.reason).toMatch(/does not answer .*; there is no release to go back to$/)
  })

  it('switches nothing where the health URL cannot be told', async () => {
    const { config } = target
    await target.deploy(good, 15)
    target.config = { ...config, health_url: `http://127.0.0.1:\${TEAPOT}` }
    const { verdict } = await target.deploy(await workshop.publishApp({ says: 'no teapot' }), 16)
    target.config = config
    expect(verdict).toMatchObject({
      outcome: 'failed',
      current: good.id,
      reason: "health_url needs 'TEAPOT', which env_file does not set",
    })
  })

  it.each(['http://127.0.0.1:tea', 'http://:8000'])(
    'switches nothing where health_url is %s',
    async (url) => {
      const { config } = target
      await target.deploy(good, 15)
      target.config = { ...config, health_url: url }
      const { verdict } = await target.deploy(await workshop.publishApp({ says: 'no address' }), 16)
      target.config = config
      expect(verdict).toMatchObject({ current: good.id, reason: `health_url is no address: ${url}/` })
    },
  )

  it('refuses once the rollout is over', async () => {
    const release = await workshop.publishApp({ says: 'too late' })
    await target.run('prepare', release, { token: 20 })
    target.setState({ token: 21 })
    const { verdict } = await target.run('activate', release, { token: 20 })
    expect(verdict).toMatchObject({ outcome: 'refused', reason: 'the rollout with token 20 is over' })
  })

  it('fails for a release that is not prepared here', async () => {
    target.holdLock(22)
    const { verdict } = await target.run('activate', await workshop.publishApp({ says: 'unprepared' }), {
      token: 22,
    })
    expect(verdict.reason).toMatch(/is not prepared on this target$/)
  })

  function url(): string {
    return `http://127.0.0.1:${/PORT="(\d+)"/.exec(target.readFile('etc/guestbook.env'))?.[1]}/`
  }
})

describe('revert', () => {
  it('puts the previous release back, once', async () => {
    await target.deploy(good, 30)
    const release = await workshop.publishApp({ says: 'to be reverted' })
    await target.deploy(release, 31)

    const { verdict } = await target.run('revert', release, { token: 31 })
    const again = await target.run('revert', release, { token: 31 })

    expect(verdict).toMatchObject({ outcome: 'done', current: good.id, reason: `serves ${good.id} again` })
    expect(again.verdict).toMatchObject({ outcome: 'done', current: good.id, reason: 'does not serve it' })
    expect(await served()).toBe(good.id)
  })

  it('serves nothing again where nothing was served before', async () => {
    const fresh = await workshop.newServingTarget()
    await fresh.deploy(good)
    const { verdict } = await fresh.run('revert', good)
    expect(verdict).toMatchObject({ outcome: 'done', current: null, reason: 'serves nothing again' })
  })
})

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20))
}
