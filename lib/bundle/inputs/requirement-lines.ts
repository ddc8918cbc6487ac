import { readFileSync } from 'node:fs'
import { UserError } from '../../user-error.ts'

/** One requirement or option of a requirements file, and the line on which it begins. */
export interface LogicalLine {
  text: string
  line: number
}

/** Joins lines that end in a backslash and drops comments, as pip does; a comment is never continued. */
export function readLogicalLines(file: string): LogicalLine[] {
  const lines: LogicalLine[] = []
  let open: LogicalLine | undefined
  for (const [index, physical] of readText(file).split(/\r?\n/).entries()) {
    const isComment = /^\s*#/.test(physical)
    const isOpen = physical.endsWith('\\') && !isComment
    open ??= { text: '', line: index + 1 }
    open.text += isOpen ? physical.slice(0, -1) : isComment ? ` ${physical}` : physical
    if (isOpen) continue
    lines.push(open)
    open = undefined
  }
  return [...lines, ...(open ? [open] : [])]
    .map(({ text, line }) => ({ text: text.replace(/(^|\s+)#.*$/, '').trim(), line }))
    .filter(({ text }) => text)
}

/** PowerShell's ">" writes UTF-16. */
function readText(file: string): string {
  const content = readFileSync(file)
  const isUtf16 = content[0] === 0xff && content[1] === 0xfe
  const text = content.toString(isUtf16 ? 'utf16le' : 'utf8').replace(/^\uFEFF/, '')
  if (text.includes('\0')) throw new UserError(`${file}: is not a text file`)
  return text
}
