import { describe, expect, it } from 'vitest'
import { releaseId } from '../../lib/release/release.ts'
import { REQUEST_ID_PATTERN, requestId } from '../../lib/release/request-id.ts'

describe('ids', () => {
  it('gives the same request id for the same time and seed, so that a doubled event asks once', () => {
    const at = new Date('2026-11-22T23:26:40.123Z')
    expect(requestId(at, 'x')).toBe(requestId(at, 'x'))
    expect(requestId(at, 'x')).not.toBe(requestId(at, 'y'))
    expect(requestId(at, 'x')).toMatch(REQUEST_ID_PATTERN)
  })

  it('names a release after both digests, in their roles', () => {
    const [a, b] = ['a'.repeat(64), 'b'.repeat(64)]
    expect(releaseId({ bundle: a, code: b })).toMatch(/^[0-9a-f]{12}$/)
    expect(releaseId({ bundle: a, code: b })).not.toBe(releaseId({ bundle: b, code: a }))
  })
})
