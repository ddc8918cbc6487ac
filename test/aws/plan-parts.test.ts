import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_PARTS, MIB, MIN_PART, type Part, planParts, type StoredRange } from '../../lib/aws/plan-parts.ts'

const uploaded = (parts: readonly Part[]) =>
  parts.filter(({ kind }) => kind === 'upload').reduce((sum, { size }) => sum + size, 0)

/** New and stored bytes by turns, the stored ones anywhere in the older object. */
const files = fc
  .array(
    fc.record({
      fresh: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 40 * MIB })),
      stored: fc.oneof(fc.integer({ min: 1, max: 12 * MIB }), fc.integer({ min: 1, max: 3000 * MIB })),
      from: fc.integer({ min: 0, max: 100_000 * MIB }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((pieces) => {
    const ranges: StoredRange[] = []
    let end = 0
    for (const { fresh, stored, from } of pieces) {
      ranges.push({ start: end + fresh, size: stored, from })
      end += fresh + stored
    }
    const tail = pieces[0]?.fresh ?? 0
    // Where two ranges meet that do not in the older object, something changed too.
    const changes = pieces.filter(({ fresh }, index) => fresh > 0 || index > 0).length + (tail > 0 ? 1 : 0)
    const regions = Math.max(1, changes)
    const fresh = pieces.reduce((sum, piece) => sum + piece.fresh, tail)
    return { size: end + tail, ranges, fresh, regions }
  })

describe('the parts of an upload', () => {
  it('cover the file exactly, in order', () => {
    fc.assert(
      fc.property(files, ({ size, ranges }) => {
        let end = 0
        for (const part of planParts(size, ranges) ?? []) {
          expect(part.start).toBe(end)
          end += part.size
        }
        expect([0, size]).toContain(end)
      }),
    )
  })

  it('are of a size and number that S3 takes', () => {
    fc.assert(
      fc.property(files, ({ size, ranges }) => {
        const parts = planParts(size, ranges) ?? []
        expect(parts.length).toBeLessThanOrEqual(MAX_PARTS)
        for (const part of parts.slice(0, -1)) expect(part.size).toBeGreaterThanOrEqual(MIN_PART)
        for (const part of parts) expect(part.size).toBeLessThanOrEqual(5 * 1024 * MIB)
      }),
    )
  })

  it('copy only what the older object has', () => {
    fc.assert(
      fc.property(files, ({ size, ranges }) => {
        for (const part of planParts(size, ranges) ?? []) {
          if (part.kind === 'upload') continue
          const source = ranges.find(
            ({ start, size }) => start <= part.start && part.start + part.size <= start + size,
          )
          expect(part.from - part.start).toBe((source?.from ?? 0) - (source?.start ?? 0))
        }
      }),
    )
  })

  it('upload what is new, and at most 10 MiB more for each region of it', () => {
    fc.assert(
      fc.property(files, ({ size, ranges, fresh, regions }) => {
        const parts = planParts(size, ranges)
        expect(parts ? uploaded(parts) : size).toBeLessThanOrEqual(fresh + 10 * MIB * regions)
      }),
    )
  })

  it('take the rest of a small change from what could be copied', () => {
    const ranges = [
      { start: 0, size: 40 * MIB, from: 0 },
      { start: 41 * MIB, size: 59 * MIB, from: 43 * MIB },
    ]
    expect(planParts(100 * MIB + 5, ranges)).toEqual([
      { kind: 'copy', start: 0, size: 40 * MIB, from: 0 },
      { kind: 'upload', start: 40 * MIB, size: 5 * MIB },
      { kind: 'copy', start: 45 * MIB, size: 55 * MIB, from: 47 * MIB },
      { kind: 'upload', start: 100 * MIB, size: 5 },
    ])
  })

  it('are none where nothing could be copied', () => {
    expect(planParts(100 * MIB, [{ start: 0, size: MIN_PART - 1, from: 0 }])).toBeUndefined()
  })
})
