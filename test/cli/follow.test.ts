import { describe, expect, it } from 'vitest'
import { followRollout } from '../../lib/cli/follow.ts'
import { rolloutKey } from '../../lib/release/keys.ts'
import type { Outcome } from '../../lib/release/record.ts'
import { startBucket } from './bucket.ts'
import { answered, begun, ended, rollout, SCOPE, store } from './rollouts.ts'
import { startPybundle, teamRepository } from './team.ts'

const ID = '20260101t120000z-00000000'

async function follow(bucket: Awaited<ReturnType<typeof startBucket>>, heard?: (line: string) => void) {
  const said: string[] = []
  const say = (line: string) => {
    said.push(line)
    heard?.(line)
  }
  const code = await followRollout({ store: bucket, scope: SCOPE, requestId: ID, say })
  return { code, said }
}

describe('who follows a rollout', () => {
  it('hears of each phase once when it begins and once when it ends', async () => {
    const bucket = await startBucket()
    const preparing = begun(rollout(ID), 'prepare', ['i-1', 'i-2'])
    const done = { action: 'prepare', outcome: 'done' } as const
    const prepared = answered(preparing, 'prepare', { 'i-1': done, 'i-2': done })
    await store(bucket, preparing)
    const { code, said } = await follow(bucket, (line) => {
      if (line === '▸ prepare: 2 targets') void store(bucket, ended(prepared, 'done'))
    })
    expect([code, said]).toEqual([
      0,
      ['▸ prepare: 2 targets', '✓ prepare (2.0 s)', 'staging/shop: release abcdefabcdef is live (9.0 s)'],
    ])
  })

  it('sees which targets failed, and what the app itself said', async () => {
    const bucket = await startBucket()
    const activated = answered(begun(rollout(ID), 'wave 1', ['i-1']), 'wave 1', {
      'i-1': { action: 'activate', outcome: 'reverted', log: 'KeyError: "OWNER"' },
    })
    await store(bucket, ended(activated, 'rolled-back', '1 of 1 failed. i-1: not healthy'))
    const { code, said } = await follow(bucket)
    expect([code, said.slice(1)]).toEqual([
      3,
      [
        '✗ wave 1 (2.0 s, 1 failed)',
        'staging/shop: release abcdefabcdef was rolled back (9.0 s)',
        '1 of 1 failed. i-1: not healthy',
        'i-1, activate:',
        '  | KeyError: "OWNER"',
      ],
    ])
  })

  it.each<[Outcome, number, string]>([
    ['failed', 1, 'failed'],
    ['refused', 1, 'was refused'],
    ['superseded', 1, 'was superseded'],
    ['stopped', 4, 'was stopped'],
  ])('is told that it is %s, and why, with exit code %i', async (outcome, code, words) => {
    const bucket = await startBucket()
    const { release: _, ...record } = ended(rollout(ID), outcome, 'the reason')
    await store(bucket, record)
    const followed = await follow(bucket)
    expect(followed).toEqual({ code, said: [`staging/shop: request ${ID} ${words} (9.0 s)`, 'the reason'] })
  })

  it('can leave with Ctrl-C: the rollout goes on, and the command says so', async () => {
    const [bucket, { folder }] = [await startBucket(), await teamRepository()]
    const following = startPybundle(folder, ['publish-release', '--environment', 'staging'], bucket.env)
    const [asked] = await Promise.all([
      new Promise<string>((resolve) => {
        following.stderr.on('data', (said) => {
          const [, id] = /\(request (\S+)\)/.exec(String(said)) ?? []
          if (id) resolve(id)
        })
      }).then(async (id) => {
        await store(bucket, begun(rollout(id), 'prepare first', ['i-1']))
        return id
      }),
      new Promise<void>((resolve) => {
        following.stderr.on('data', (said) => {
          if (!String(said).includes('▸ prepare first')) return
          following.kill('SIGINT')
          resolve()
        })
      }),
    ])
    const { exitCode, stderr } = await following
    expect([exitCode, stderr.split('\n').at(-1)]).toEqual([
      130,
      'No longer following; the rollout itself goes on. pybundle status --environment staging',
    ])
    expect(await bucket.readJson(rolloutKey(SCOPE, asked))).toMatchObject({ outcome: 'running' })
  })
})
