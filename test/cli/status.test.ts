import { describe, expect, it } from 'vitest'
import { readStatus, renderStatus } from '../../lib/cli/status.ts'
import { fleetKey, stateKey } from '../../lib/release/keys.ts'
import { startRecord } from '../../lib/release/record.ts'
import { EMPTY_STATE, serveRelease, takeLock } from '../../lib/release/state.ts'
import { startBucket } from './bucket.ts'
import { answered, begun, ended, rollout, SCOPE, store } from './rollouts.ts'

const served = (release: string) => ({ release, bundle: 'b'.repeat(64), code: 'c'.repeat(64) })
const lines = (text: string) => text.split('\n').map((line) => line.trimEnd())

describe('status', () => {
  it('tells what runs, what is going on, and how the latest requests ended', async () => {
    const bucket = await startBucket()
    const state = serveRelease(serveRelease(EMPTY_STATE, served('one')), served('two'))
    await bucket.createOnly(
      stateKey(SCOPE),
      JSON.stringify(takeLock(state, 'r3', served('three'), { version: '1' })),
    )
    await store(bucket, ended(rollout('r1'), 'done'))
    await store(bucket, ended(rollout('r2', 1), 'refused', '"shop.zip" is no archive.'))
    await store(bucket, rollout('r3', 2))
    expect(lines(renderStatus(await readStatus(bucket, SCOPE)))).toEqual([
      'shop in staging',
      'current   two',
      'previous  one',
      'running   rollout r3',
      '',
      'when (UTC)           what    release       outcome  took  by',
      '2026-01-01 12:00:02  deploy  abcdefabcdef  running        ann@laptop',
      '2026-01-01 12:00:01  deploy  abcdefabcdef  refused  8 s   ann@laptop',
      '2026-01-01 12:00:00  deploy  abcdefabcdef  done     9 s   ann@laptop',
      '2026-01-01 12:00:01 "shop.zip" is no archive.',
    ])
  })

  it('shows no text of the bucket that a terminal would obey', async () => {
    const bucket = await startBucket()
    const forged = '\u001b[2J\u001b]52;c;Y3VybA==\u0007\u009b1m\u202eeno\ncurrent   forged'
    const record = { ...ended(rollout('r1'), 'refused', `Not for ${forged}.`), requestedBy: forged }
    await store(bucket, record)
    const freeze = { by: 'ann', at: '2026-01-01T12:00:00.000Z', reason: forged }
    await bucket.createOnly(stateKey(SCOPE), JSON.stringify({ ...EMPTY_STATE, freeze }))
    const shown = renderStatus(await readStatus(bucket, SCOPE))
    expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202e]/u)
    expect(lines(shown).filter((line) => line.startsWith('current'))).toEqual([
      'current   nothing deployed yet',
    ])
    expect(shown).toContain('eno current   forged')
  })

  it('does not claim to know what a target serves that fell silent', async () => {
    const bucket = await startBucket()
    const activated = answered(begun(rollout('r1'), 'wave 1', ['i-1', 'i-2']), 'wave 1', {
      'i-1': { action: 'activate', outcome: 'done', current: 'abcdefabcdef' },
      'i-2': { action: 'activate', outcome: 'failed', reason: 'gave no verdict: TimedOut' },
    })
    await store(bucket, ended(activated, 'failed'))
    const now = new Date('2026-01-01T12:05:09Z')
    expect(lines(renderStatus(await readStatus(bucket, SCOPE), undefined, now)).slice(-3)).toEqual([
      'target  serves        said so',
      'i-1     abcdefabcdef  5 min ago',
      'i-2     unknown       -          silent',
    ])
  })

  it('shows what each target said when it was asked, or in a rollout since, and who differs', async () => {
    const bucket = await startBucket()
    const before = answered(begun(rollout('r1'), 'wave 1', ['i-1', 'i-2', 'i-9']), 'wave 1', {
      'i-1': { action: 'activate', outcome: 'done', current: 'before' },
      'i-9': { action: 'activate', outcome: 'done', current: 'before' },
    })
    await store(bucket, ended(before, 'done'))
    const said = { release: 'before', at: '2026-01-01T12:01:00.000Z', presence: 'online' }
    await bucket.createOnly(
      fleetKey(SCOPE),
      JSON.stringify({
        format: 1,
        asOf: '2026-01-01T12:01:00.000Z',
        targets: { 'i-1': said, 'i-2': said, 'i-3': { presence: 'silent' } },
      }),
    )
    const since = startRecord({ ...SCOPE, id: 'r2', requestedBy: 'ann' }, 'now', '2026-01-01T12:02:00.000Z')
    const told = answered(begun(since, 'wave 1', ['i-1']), 'wave 1', {
      'i-1': { action: 'activate', outcome: 'done', current: 'now' },
    })
    await store(bucket, { ...told, outcome: 'done', endedAt: '2026-01-01T12:03:00.000Z' })
    const current = { release: 'now', bundle: '0'.repeat(64), code: '0'.repeat(64) }
    await bucket.createOnly(stateKey(SCOPE), JSON.stringify({ ...EMPTY_STATE, current }))
    const now = new Date('2026-01-01T14:03:00Z')
    expect(lines(renderStatus(await readStatus(bucket, SCOPE), undefined, now)).slice(-5)).toEqual([
      'target  serves   said so',
      'i-1     now      2 h ago',
      'i-2     before   2 h ago  differs',
      'i-3     unknown  -        silent',
      '1 of 3 differ: pybundle repair brings them to now.',
    ])
  })

  it.each([
    [0, 'previous  -'],
    [1, 'broken    a start of the stack'],
    [3, 'broken    3 starts of the stack'],
  ])('says when %i starts of functions have failed for good', async (failedStarts, line) => {
    const bucket = await startBucket()
    const report = { format: 1, asOf: '2026-01-01T12:01:00.000Z', targets: {}, failedStarts }
    await bucket.createOnly(fleetKey(SCOPE), JSON.stringify(report))
    expect(lines(renderStatus(await readStatus(bucket, SCOPE))).at(-1)).toContain(line)
  })

  it('shows the latest requests, whatever refused ones of before were called', async () => {
    const bucket = await startBucket()
    for (let index = 0; index < 9; index++) {
      await store(bucket, ended(rollout(`zzz-${index}`), 'refused', 'is no request'))
    }
    await store(bucket, rollout('20260101t120000z-00000000', 5))
    const { rollouts } = await readStatus(bucket, SCOPE)
    expect(rollouts[0]?.id).toBe('20260101t120000z-00000000')
  })

  it('shows them also when the fleet was asked many times since', async () => {
    const bucket = await startBucket()
    await store(bucket, ended(rollout('r1'), 'done'))
    for (let index = 0; index < 20; index++) {
      await store(bucket, ended({ ...rollout(`refresh-${index}`, 10 + index), action: 'refresh' }, 'done'))
    }
    const { rollouts } = await readStatus(bucket, SCOPE)
    expect(rollouts.map(({ id }) => id)).toEqual(['r1'])
  })

  it('fits a narrow terminal by shortening who asked', async () => {
    const bucket = await startBucket()
    const record = ended({ ...rollout('r1'), requestedBy: `upload of ${'x'.repeat(60)}` }, 'superseded')
    await store(bucket, record)
    const shown = lines(renderStatus(await readStatus(bucket, SCOPE), 80))
    expect(Math.max(...shown.map((line) => line.length))).toBe(80)
    expect(shown.at(-1)).toMatch(/superseded {2}9 s {3}upload of x+…$/)
  })
})
