import { describe, expect, it } from 'vitest'
import { decideNext, type WaitingRequest } from '../../lib/release/next-request.ts'
import { EMPTY_STATE, endLock, type ServedRelease, serveRelease, takeLock } from '../../lib/release/state.ts'

const served = (release: string): ServedRelease => ({ release, bundle: 'b'.repeat(64), code: 'c'.repeat(64) })
const at = (second: number, id = `r${second}`): WaitingRequest => ({ id, storedAt: new Date(second * 1000) })
const locked = takeLock(EMPTY_STATE, 'r1', served('one'), { version: '1' })

describe('decideNext', () => {
  it('does nothing when nobody asks', () => {
    expect(decideNext({ state: EMPTY_STATE, waiting: [], owner: undefined })).toEqual({ do: 'nothing' })
  })

  it('accepts the newest request', () => {
    const next = decideNext({ state: EMPTY_STATE, waiting: [at(2), at(3), at(1)], owner: undefined })
    expect(next).toEqual({ do: 'accept', request: 'r3' })
  })

  it('supersedes what waited before the request that has the lock, and nothing that came after it', () => {
    const state = takeLock(EMPTY_STATE, 'r3', served('one'), { version: '1' })
    const next = decideNext({ state, waiting: [at(2), at(4), at(3), at(1)], owner: undefined })
    expect(next).toEqual({ do: 'start owner', superseded: ['r2', 'r1'] })
  })

  it('decides between two requests of the same second the same way every time', () => {
    const waiting = [at(1, 'a'), at(1, 'b')]
    const starts = [waiting, [...waiting].reverse()].map((some) =>
      decideNext({ state: EMPTY_STATE, waiting: some, owner: undefined }),
    )
    expect(starts).toEqual([
      { do: 'accept', request: 'b' },
      { do: 'accept', request: 'b' },
    ])
  })

  it('waits while the owner of the lock runs', () => {
    expect(decideNext({ state: locked, waiting: [at(9)], owner: 'RUNNING' })).toEqual({ do: 'nothing' })
  })

  it('starts an owner that took the lock and was killed before it began', () => {
    expect(decideNext({ state: locked, waiting: [], owner: undefined })).toEqual({
      do: 'start owner',
      superseded: [],
    })
  })

  it.each(['FAILED', 'TIMED_OUT', 'STOPPED', 'SUCCEEDED'] as const)(
    'recovers from an owner that is %s',
    (owner) => {
      expect(decideNext({ state: locked, waiting: [at(9)], owner })).toEqual({ do: 'recover', ended: owner })
    },
  )
})

describe('state', () => {
  it('gives every rollout a higher token and a name of its own, the same release again too', () => {
    const second = takeLock(endLock(locked, 'done', true), 'r2', served('one'), { version: '1' })
    expect([locked.lock?.token, second.lock?.token]).toEqual([1, 2])
    expect(second.lock?.execution).not.toBe(locked.lock?.execution)
  })

  it('keeps what ran before as previous', () => {
    const state = serveRelease(serveRelease(locked, served('one')), served('two'))
    expect([state.current?.release, state.previous?.release]).toEqual(['two', 'one'])
  })

  it('keeps the previous release when the current one is rolled out again', () => {
    const state = ['one', 'two', 'two'].map(served).reduce(serveRelease, locked)
    expect([state.current?.release, state.previous?.release]).toEqual(['two', 'one'])
  })
})
