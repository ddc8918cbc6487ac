import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { requestsPrefix, stateKey } from '../../lib/release/keys.ts'
import { endRecord, startRecord } from '../../lib/release/record.ts'
import { isSetting, type Request, request as requestSchema } from '../../lib/release/request.ts'
import { EMPTY_STATE, endLock, type State, serveRelease, takeLock } from '../../lib/release/state.ts'
import { type Bucket, startBucket } from './bucket.ts'
import { SCOPE, store } from './rollouts.ts'
import { pybundle, startPybundle, teamRepository } from './team.ts'

const served = (letter: string) => ({
  release: letter.repeat(12),
  bundle: 'b'.repeat(64),
  code: letter.repeat(64),
})
const two = serveRelease(serveRelease(EMPTY_STATE, served('a'), 1), served('c'), 2)
const RUNNING = '20260101t000000z-00000000'
const ENVIRONMENT = ['--environment', 'staging']

async function at(state: State) {
  const bucket = await startBucket()
  await bucket.createOnly(stateKey(SCOPE), JSON.stringify(state))
  return { bucket, folder: (await teamRepository()).folder }
}

/** What was asked; a setting is answered as the functions would. */
async function asked(bucket: Bucket): Promise<Request> {
  for (;;) {
    const [found] = await bucket.list(requestsPrefix(SCOPE))
    if (!found) {
      await setTimeout(20)
      continue
    }
    const request = requestSchema.parse(await bucket.readJson(found.key))
    const now = new Date().toISOString()
    if (isSetting(request)) await store(bucket, endRecord(startRecord(request, undefined, now), 'done', now))
    return request
  }
}

async function run(state: State, ...args: string[]) {
  const { bucket, folder } = await at(state)
  const running = startPybundle(folder, args, bucket.env)
  const request = await asked(bucket)
  const { exitCode, stderr } = await running
  return { request, exitCode, stderr }
}

async function refused(state: State, ...args: string[]) {
  const { bucket, folder } = await at(state)
  const { code, err } = await pybundle(folder, args, bucket.env)
  expect(await bucket.list(requestsPrefix(SCOPE))).toEqual([])
  return { code, err }
}

describe('rollback', () => {
  it('asks for the good release before', async () => {
    const { request, stderr } = await run(two, 'rollback', ...ENVIRONMENT, '--detach')
    expect(request).toMatchObject({ action: 'rollback', acrossMigrations: false })
    expect(stderr).toContain('Asked staging to roll back to release aaaaaaaaaaaa')
  })

  it('says at once that it would go across a migration, and how to', async () => {
    const migrated = { ...two, migrated: [{ release: 'cccccccccccc', token: 2 }] }
    const { code, err } = await refused(migrated, 'rollback', ...ENVIRONMENT)
    expect([code, err]).toEqual([
      1,
      expect.stringContaining('rollback --environment staging --across-migrations'),
    ])
    const { request } = await run(migrated, 'rollback', ...ENVIRONMENT, '--across-migrations', '--detach')
    expect(request).toMatchObject({ acrossMigrations: true })
  })
})

describe('cancel', () => {
  it('names the rollout that runs', async () => {
    const { request, exitCode } = await run(
      takeLock(two, RUNNING, served('d'), { version: '1' }),
      'cancel',
      ...ENVIRONMENT,
      '--revert',
    )
    expect([exitCode, request]).toEqual([0, expect.objectContaining({ rollout: RUNNING, revert: true })])
  })

  it('has nothing to do where none runs', async () => {
    const { code, err } = await refused(two, 'cancel', ...ENVIRONMENT)
    expect([code, err]).toEqual([1, 'No rollout of shop runs in staging.'])
  })

  it('says what to do where one has stopped already', async () => {
    const stopped = endLock(takeLock(two, RUNNING, served('d'), { version: '1' }), 'stopped', true)
    const { err } = await refused(stopped, 'cancel', ...ENVIRONMENT)
    expect(err).toContain('pybundle rollback --environment staging')
  })
})

describe('freeze', () => {
  it('asks with its reason and its end', async () => {
    const { request, stderr } = await run(
      two,
      'freeze',
      ...ENVIRONMENT,
      '--reason',
      'the fair',
      '--until',
      '2099-01-01T00:00Z',
    )
    expect(request).toMatchObject({ action: 'freeze', reason: 'the fair', until: '2099-01-01T00:00:00.000Z' })
    expect(stderr).toContain('took effect')
  })

  it.each([
    ['soon', 'is not a time'],
    ['2020-01-01', 'is in the past'],
  ])('does not take %s for its end', async (until, why) => {
    const { code, err } = await refused(two, 'freeze', ...ENVIRONMENT, '--reason', 'x', '--until', until)
    expect([code, err]).toEqual([1, expect.stringContaining(why)])
  })

  it('is told before anything is made for a release', async () => {
    const frozen = { ...two, freeze: { reason: 'the fair', by: 'ann' } }
    const { code, err } = await refused(frozen, 'publish-release', ...ENVIRONMENT)
    expect([code, err]).toEqual([1, expect.stringContaining('staging takes no new release. Frozen by ann')])
  })
})

describe('confirm-migration', () => {
  const open = {
    ...two,
    migration: { rollout: RUNNING, release: 'd'.repeat(12), leader: 'i-1', since: '2026-01-01T00:00:00Z' },
  }

  it.each([
    ['--ended', true],
    ['--not-run', false],
  ])('%s says it of the open migration', async (flag, ended) => {
    const { request } = await run(open, 'confirm-migration', ...ENVIRONMENT, '--rollout', RUNNING, flag)
    expect(request).toMatchObject({ action: 'confirm-migration', rollout: RUNNING, ended })
  })

  it('wants to be told which of both', async () => {
    const { err } = await refused(open, 'confirm-migration', ...ENVIRONMENT, '--rollout', RUNNING)
    expect(err).toContain('one of --ended and --not-run')
  })
})
