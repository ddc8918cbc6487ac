import Table from 'cli-table3'

export const GAP = '  '

/** Columns without lines. */
export function plainTable(head: string[]) {
  const border = { top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '' }
  const rest = { 'bottom-left': '', 'bottom-right': '', left: '', 'left-mid': '', mid: '', 'mid-mid': '' }
  const chars = { ...border, ...rest, right: '', 'right-mid': '', middle: GAP }
  return new Table({ head, chars, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 } })
}
