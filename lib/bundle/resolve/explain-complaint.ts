import { readFile } from 'node:fs/promises'
import { UserError } from '../../user-error.ts'
import { maskCredentials } from '../credentials.ts'
import { describePlatform, type Platform } from '../platform.ts'
import { whyUnfit } from '../wheel.ts'
import { NothingFits } from './pip-platform.ts'

/** What pip says, in the user's words: its files are ours, and what it found and passed over is untold. */
export async function explainComplaint(
  error: UserError,
  platform: Platform,
  files: readonly string[],
): Promise<UserError> {
  let told = error.message
  for (const file of files) told = quoteLines(told, file, await readFile(file, 'utf8'))
  const passedOver = error instanceof NothingFits ? error.passedOver : []
  const hint = whyNothing(error.message, passedOver, platform)
  return new UserError(`could not resolve for ${describePlatform(platform)}:\n${told}${hint}`, {
    cause: error,
  })
}

/** pip names files that nobody but this program knows, and lines of them. */
function quoteLines(told: string, file: string, content: string): string {
  const lines = content.split('\n')
  const name = file.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const quote = (_: string, number: string) => `"${maskCredentials(lines[Number(number) - 1] ?? '')}"`
  return told
    .replace(new RegExp(`-[rc] ${name} \\(line (\\d+)\\)`, 'g'), quote)
    .replace(new RegExp(` \\(from line \\d+ of ${name}\\)`, 'g'), '')
}

const SHOWN = 4

function whyNothing(complaint: string, passedOver: readonly string[], platform: Platform): string {
  if (!/No matching distribution|from versions: none/.test(complaint)) return ''
  const unfit = passedOver.flatMap((file) => whyUnfit(file, platform) ?? [])
  if (unfit.length === 0) {
    return '\nEither the index does not have it, or neither a wheel of it fits nor is there a source to build one from.'
  }
  const rest = unfit.length > SHOWN ? [`... and ${unfit.length - SHOWN} more`] : []
  return [
    '\nNo source of it serves there, and of the wheels in the index none fits:',
    ...[...unfit.slice(0, SHOWN), ...rest].map((why) => `- ${why}`),
    'Ask for a version that has a fitting wheel, or put one into the index.',
  ].join('\n')
}
