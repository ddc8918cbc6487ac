/** Indented below a sentence, and how many more there are. */
export function firstLines(lines: readonly string[], most: number): string[] {
  const shown = lines.slice(0, most).map((line) => `  ${line}`)
  return lines.length > most ? [...shown, `  and ${lines.length - most} more`] : shown
}
