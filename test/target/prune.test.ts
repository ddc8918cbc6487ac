import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PublishedRelease } from './artifacts.ts'
import { asOrdinaryUser, type TestTarget } from './target.ts'
import { Workshop } from './workshop.ts'

let workshop: Workshop
let target: TestTarget
const releases: PublishedRelease[] = []
beforeAll(async () => {
  workshop = await Workshop.open('prune')
  target = await workshop.newServingTarget({ keep_releases: 2 })
  for (const token of [1, 2, 3]) {
    const release = await workshop.publishApp({ says: String(token) })
    releases.push(release)
    await target.deploy(release, token)
  }
})
afterAll(() => workshop.close())

const [first, second, third] = [() => releases[0], () => releases[1], () => releases[2]]
const left = async () => (await target.run('status')).verdict

describe('prune', () => {
  it('keeps what the environment names', async () => {
    target.setState({
      token: 3,
      previous: { release: first()?.id ?? '', bundle: '0'.repeat(64), code: '0'.repeat(64) },
    })
    await target.run('prune', undefined, { token: 3 })
    expect((await left()).prepared).toContain(first()?.id)
  })

  it('removes what is neither good enough, current nor running, and its virtualenv', async () => {
    const failed = await workshop.publishApp({ status: 500 }, { wheels: [{ name: 'alpha', version: '2.0' }] })
    await target.run('prepare', failed, { token: 4 })
    target.setState({ token: 4 })

    const { verdict } = await target.run('prune', undefined, { token: 4 })

    expect(verdict.outcome).toBe('done')
    expect((await left()).prepared).toEqual([second()?.id, third()?.id].sort())
    expect((await left()).venvs).toBe(1)
  })

  it('comes by itself with a catch-up that has nothing else to do, and while no rollout is at work', async () => {
    const retired = await workshop.publishApp({ says: 'retired' })
    await target.run('prepare', retired, { token: 4 })
    const current = { release: third()?.id ?? '', bundle: '', code: '', ...third()?.digests }
    const lock = { token: 5, request: '20261122t101500z-0123abcd', execution: 'x', version: '1' }
    target.setState({ token: 5, current, lock })
    await target.run('catch-up', undefined, { token: 0 })
    expect((await left()).prepared).toContain(retired.id)

    target.setState({ token: 5, current })
    const { verdict } = await target.run('catch-up', undefined, { token: 0 })
    expect(verdict.reason).toBe('serves the current release')
    expect((await left()).prepared).not.toContain(retired.id)
  })

  it('keeps what a process was started from by a link that somebody has made', async () => {
    const release = await workshop.publishApp({ says: 'linked', files: { 'wait.sh': 'read forever' } })
    await target.run('prepare', release, { token: 4 })
    const link = join(target.root, 'by-hand')
    symlinkSync(target.path('releases', release.id), link)
    const [command = 'sh', ...args] = [...(await asOrdinaryUser()), 'sh', join(link, 'wait.sh')]
    const running = spawn(command, args, { cwd: '/' })
    await target.run('prune', undefined, { token: 4 })
    const kept = (await left()).prepared
    running.kill('SIGKILL')
    expect(kept).toContain(release.id)
  })

  it('keeps what a process works in', async () => {
    const release = await workshop.publishApp({ says: 'runs' })
    await target.run('prepare', release, { token: 4 })
    const [command = 'sleep', ...args] = [...(await asOrdinaryUser()), 'sleep', '60']
    const running = spawn(command, args, { cwd: target.path('releases', release.id) })

    await target.run('prune', undefined, { token: 4 })
    const kept = (await left()).prepared
    running.kill('SIGKILL')
    await once(running, 'exit')
    await target.run('prune', undefined, { token: 4 })

    expect(kept).toContain(release.id)
    expect((await left()).prepared).not.toContain(release.id)
  })

  it('touches nothing while a backup of hard links keeps it from believing what it wrote', async () => {
    const backup = join(target.root, 'backup')
    execFileSync('cp', ['-al', target.home, backup])
    const { verdict, exitCode } = await target.run('prune', undefined, { token: 4 })
    rmSync(backup, { recursive: true })
    expect(verdict).toMatchObject({ outcome: 'refused', reason: expect.stringContaining('target.json has') })
    expect(exitCode).toBe(3)
    expect((await target.run('prune', undefined, { token: 4 })).verdict.outcome).toBe('done')
    expect((await left()).prepared).toEqual([second()?.id, third()?.id].sort())
    expect((await left()).current).toBe(third()?.id)
  })
})
