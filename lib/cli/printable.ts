import { stripVTControlCharacters } from 'node:util'

/** What a terminal obeys instead of showing it: controls, and what turns the direction of writing. */
const OBEYED = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

/**
 * JSON of the bucket, where whoever may upload has a say, for people to look at: no text of it moves the cursor, fills
 * the clipboard or begins a line of its own, but for logs, which have lines.
 */
export function printable(content: unknown, key = ''): unknown {
  if (typeof content === 'string') return printableText(content, key === 'log')
  if (Array.isArray(content)) return content.map((item) => printable(item, key))
  if (typeof content !== 'object' || content === null) return content
  const entries = Object.entries(content)
  return Object.fromEntries(
    entries.map(([name, item]) => [printableText(name, false), printable(item, name)]),
  )
}

function printableText(text: string, hasLines: boolean): string {
  return stripVTControlCharacters(text).replace(OBEYED, (character) =>
    hasLines && (character === '\n' || character === '\t') ? character : ' ',
  )
}
