/** Bytes that an object in the bucket has at `from`. */
export interface StoredRange {
  start: number
  size: number
  from: number
}

/** One part of a multipart upload; they follow each other without gaps. */
export type Part = CopiedPart | { kind: 'upload'; start: number; size: number }

export interface CopiedPart extends StoredRange {
  kind: 'copy'
}

export const MIB = 1024 ** 2
/** Of S3, for every part but the last; also the smallest object of which it copies ranges. */
export const MIN_PART = 5 * MIB
export const MAX_PARTS = 10_000
const UPLOAD_PART = 8 * MIB
const COPY_PART = 1024 * MIB

/**
 * Copies what is stored, uploads the rest: beyond what is new at most 10 MiB for each region of it. Undefined where
 * nothing is worth copying.
 */
export function planParts(size: number, stored: readonly StoredRange[]): Part[] | undefined {
  const copies = chooseCopies(stored)
  if (copies.length === 0) return undefined
  const parts: Part[] = []
  let end = 0
  for (const copy of copies) {
    parts.push(...split({ kind: 'upload', start: end, size: copy.start - end }), ...split(copy))
    end = copy.start + copy.size
  }
  parts.push(...split({ kind: 'upload', start: end, size: size - end }))
  return parts.length > MAX_PARTS ? undefined : parts
}

/** What lies before a copy is uploaded, and a part: where it is too small for one, it takes from the copy. */
function chooseCopies(stored: readonly StoredRange[]): CopiedPart[] {
  const copies: CopiedPart[] = []
  let end = 0
  for (const { start, size, from } of stored) {
    const before = start - end
    const taken = before > 0 && before < MIN_PART ? MIN_PART - before : 0
    if (size - taken < MIN_PART) continue
    copies.push({ kind: 'copy', start: start + taken, size: size - taken, from: from + taken })
    end = start + size
  }
  return copies
}

/** Into even parts, none smaller than the usual size unless it is alone. */
function split(part: Part): Part[] {
  const count = Math.max(1, Math.floor(part.size / (part.kind === 'copy' ? COPY_PART : UPLOAD_PART)))
  const offsets = Array.from({ length: count + 1 }, (_, index) => Math.floor((index * part.size) / count))
  return offsets.slice(0, -1).flatMap((offset, index) => {
    const size = (offsets[index + 1] ?? offset) - offset
    if (size === 0) return []
    const moved = { ...part, start: part.start + offset, size }
    return [moved.kind === 'copy' ? { ...moved, from: moved.from + offset } : moved]
  })
}
