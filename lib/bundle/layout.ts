import { openBundle } from './read-manifest.ts'
import type { RangeSource } from './read-ranges.ts'

/** A member as it lies in the file, its header included. */
export interface Span {
  name: string
  sha256: string
  start: number
  size: number
}

/** Bytes of a file that lie in an older file too. */
export interface SameRange {
  start: number
  size: number
  /** Where they begin in the older file. */
  from: number
}

/** Where the members lie, the last one left out, of which nothing tells the end. Reads only directory and manifest. */
export async function readLayout(source: RangeSource): Promise<Span[]> {
  const { manifest, entries } = await openBundle(source)
  const members = [...entries].map(([name, entry]) => ({ name, start: entry.relativeOffsetOfLocalHeader }))
  members.sort((a, b) => a.start - b.start)
  return members.slice(0, -1).map(({ name, start }, index) => ({
    name,
    sha256: manifest.members[name]?.sha256 ?? '',
    start,
    size: (members[index + 1]?.start ?? start) - start,
  }))
}

/** In the file's order; members that follow each other in both files are one range. */
export function sameRanges(layout: readonly Span[], older: readonly Span[]): SameRange[] {
  const known = new Map(older.map((span) => [identityOf(span), span.start]))
  const ranges: SameRange[] = []
  for (const span of layout) {
    const from = known.get(identityOf(span))
    if (from === undefined) continue
    const last = ranges.at(-1)
    if (last && last.start + last.size === span.start && last.from + last.size === from) {
      last.size += span.size
    } else {
      ranges.push({ start: span.start, size: span.size, from })
    }
  }
  return ranges
}

/** Size and name are in the header, which no digest covers. */
function identityOf({ name, sha256, size }: Span): string {
  return `${sha256} ${size} ${name}`
}
