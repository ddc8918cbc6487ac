import { invalidArgument } from './errors.ts'
import { compareBytes } from './versions.ts'

export interface PageOptions {
  prefix: string
  delimiter: string | undefined
  /** Where the page before ended: a key or a common prefix. */
  after: string
  limit: number
}

export interface Page<Item> {
  items: Item[]
  commonPrefixes: string[]
  isTruncated: boolean
  /** The last key or common prefix of a truncated page. */
  last: string
}

/** One page of a listing. `entries` come sorted by key, from where the page before ended. */
export function readPage<Item extends { key: string }>(
  entries: Iterable<Item>,
  { prefix, delimiter, after, limit }: PageOptions,
): Page<Item> {
  const page: Page<Item> = { items: [], commonPrefixes: [], isTruncated: false, last: '' }
  if (limit === 0) return page
  for (const entry of entries) {
    if (!entry.key.startsWith(prefix)) continue
    const group = commonPrefix(entry.key, prefix, delimiter)
    if (group !== undefined && (group === after || group === page.commonPrefixes.at(-1))) continue
    if (page.items.length + page.commonPrefixes.length === limit) return { ...page, isTruncated: true }
    if (group === undefined) page.items.push(entry)
    else page.commonPrefixes.push(group)
    page.last = group ?? entry.key
  }
  return page
}

export function isAfter(key: string, marker: string): boolean {
  return marker === '' || compareBytes(key, marker) > 0
}

export function readLimit(name: string, value: number | undefined): number {
  if (value === undefined) return 1000
  if (Number.isInteger(value) && value >= 0) return Math.min(value, 1000)
  throw invalidArgument(name, value, `Provided ${name} not an integer or within integer range`)
}

/** For clients that ask for it: XML cannot hold every character that a key may. */
export function keyEncoder(encodingType: string | undefined): (key: string) => string {
  if (encodingType === undefined) return (key) => key
  if (encodingType !== 'url') {
    throw invalidArgument('encoding-type', encodingType, 'Invalid Encoding Method specified in Request')
  }
  return (key) => encodeURIComponent(key).replaceAll('%2F', '/').replaceAll('%20', '+')
}

function commonPrefix(key: string, prefix: string, delimiter: string | undefined): string | undefined {
  if (!delimiter) return undefined
  const end = key.indexOf(delimiter, prefix.length)
  return end < 0 ? undefined : key.slice(0, end + delimiter.length)
}
