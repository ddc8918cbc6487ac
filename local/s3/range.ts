import { ServiceError } from '../http/service.ts'

export interface ByteRange {
  start: number
  /** Inclusive. */
  end: number
}

/** Undefined asks for the whole object: S3 ignores a range that it cannot read, or that has several parts. */
export function readRange(text: string | undefined, size: number): ByteRange | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(text ?? '') ?? []
  if (!first && !last) return undefined
  const range = first
    ? { start: Number(first), end: Math.min(last ? Number(last) : size - 1, size - 1) }
    : { start: Math.max(size - Number(last), 0), end: size - 1 }
  if (first && last && Number(last) < Number(first)) return undefined
  if (range.start < size && (first || Number(last) > 0)) return range
  throw new ServiceError(416, 'InvalidRange', 'The requested range is not satisfiable', {
    RangeRequested: text ?? '',
    ActualObjectSize: String(size),
  })
}
