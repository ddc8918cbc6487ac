import type { WriteStream } from 'node:tty'
import { styleText } from 'node:util'

const FORMATS = ['bold', 'cyan', 'dim', 'green', 'red', 'yellow'] as const

export type Colors = Record<(typeof FORMATS)[number], (text: string) => string>

/** Colours where the stream is a terminal (or FORCE_COLOR is set), plain text everywhere else, CI too. */
export function colorsOf(stream: WriteStream): Colors {
  const painters = FORMATS.map((format) => [format, (text: string) => styleText(format, text, { stream })])
  return Object.fromEntries(painters)
}
