import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PublishedRelease } from './artifacts.ts'
import type { TestTarget } from './target.ts'
import { Workshop } from './workshop.ts'

let workshop: Workshop
let target: TestTarget
let good: PublishedRelease
beforeAll(async () => {
  workshop = await Workshop.open('catch-up')
  target = await workshop.newServingTarget()
  good = await workshop.publishApp()
})
afterAll(() => workshop.close())

describe('catch-up', () => {
  const serve = (release: PublishedRelease, token: number, more = {}) =>
    target.setState({ token, current: { release: release.id, ...release.digests }, ...more })

  it('brings the target to the current release, without a migration', async () => {
    await target.deploy(good, 40)
    const release = await workshop.publishApp({
      says: 'caught up',
      settings: ['migrate_command = "touch migrated"'],
    })
    serve(release, 41)

    const { verdict } = await target.run('catch-up', undefined, { token: 0 })

    expect(verdict).toMatchObject({ outcome: 'done', current: release.id })
    expect(target.has('releases', release.id, 'migrated')).toBe(false)
  })

  it('does nothing when the target serves it', async () => {
    serve(good, 42)
    await target.run('catch-up', undefined, { token: 0 })
    const { verdict } = await target.run('catch-up', undefined, { token: 0 })
    expect(verdict).toMatchObject({ outcome: 'done', reason: 'serves the current release' })
  })

  it('follows a pointer that moves while it installs', async () => {
    const [first, second] = [
      await workshop.publishApp({ says: 'first' }),
      await workshop.publishApp({ says: 'then' }),
    ]
    serve(first, 43)
    const running = target.run('catch-up', undefined, { token: 0 })
    await workshop.bucket.whenFetched(`staging/guestbook/releases/${first.id}.json`)
    serve(second, 44)
    expect((await running).verdict).toMatchObject({ outcome: 'done', current: second.id })
  })

  it('ends nothing of the app that it has started, while it installs what the pointer moved to', async () => {
    const { config } = target
    const alive = join(target.root, 'alive')
    const ask = `kill -0 $(cat ${target.appPid}) && readlink ${target.path('current')} >>${alive}`
    target.config = { ...config, restart_command: `${ask}; ${config.restart_command}` }
    const [first, second] = [
      await workshop.publishApp({ says: 'a first' }),
      await workshop.publishApp({ says: 'and then' }),
    ]
    serve(first, 44)
    const running = target.run('catch-up', undefined, { token: 0 })
    await workshop.bucket.whenFetched(`staging/guestbook/releases/${first.id}.json`)
    serve(second, 44)
    expect((await running).verdict).toMatchObject({ outcome: 'done', current: second.id })
    target.config = config
    expect(readFileSync(alive, 'utf8')).toBe(`releases/${first.id}\nreleases/${second.id}\n`)
  })

  it('leaves a target alone that a rollout is at work on', async () => {
    await target.deploy(good, 45)
    const release = await workshop.publishApp({ says: 'in a rollout' })
    await target.deploy(release, 46)
    serve(good, 46, {
      lock: { token: 46, request: '20261122t101500z-0123abcd', execution: 'x', version: '1' },
    })
    const { verdict } = await target.run('catch-up', undefined, { token: 0 })
    expect(verdict).toMatchObject({ outcome: 'done', current: release.id })
  })

  it('does not leave to the rollout what the rollout itself tells it to', async () => {
    const rollout = '20261122t101500z-0123abcd'
    serve(good, 47, { lock: { token: 47, request: rollout, execution: 'x', version: '1' } })
    const { verdict } = await target.run('catch-up', undefined, { token: 47, rollout })
    expect(verdict).toMatchObject({ outcome: 'done', current: good.id })
  })

  it('leaves what serves anything alone while a stopped rollout is, whatever has the lock since', async () => {
    const release = await workshop.publishApp({ says: 'of a rollout that stopped' })
    await target.deploy(release, 48)
    serve(good, 49, { inBetween: 'stopped' })
    const { verdict } = await target.run('catch-up', undefined, { token: 0 })
    expect(verdict).toMatchObject({ outcome: 'done', current: release.id })
    const { verdict: later } = await (await workshop.newServingTarget()).run('catch-up', undefined, {
      token: 0,
    })
    expect(later).toMatchObject({ outcome: 'done', current: good.id })
  })

  it('does nothing before the first rollout', async () => {
    target.setState({})
    const { verdict } = await target.run('catch-up', undefined, { token: 0 })
    expect(verdict.reason).toBe('the environment has no current release yet')
  })
})
