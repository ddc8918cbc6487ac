import { UserError } from '../../user-error.ts'
import type { Python } from '../find-python.ts'
import type { Requirements } from '../inputs/requirements.ts'
import { describePlatform, type Platform } from '../platform.ts'
import { whyUnfit } from '../wheel.ts'
import { readWheel, type WheelContents } from './read-wheel.ts'
import { NativeFiles } from './verify-natives.ts'
import { type Need, type Needs, resolveNeeds } from './verify-needs.ts'
import { sharedPaths } from './verify-paths.ts'

export interface Verification {
  /** Files. */
  wheels: readonly string[]
  platform: Platform
  /** What the requirements name, PEP 508 each. */
  asked: readonly string[]
  /** Of the laptop. */
  python: Python
  /** Told what is strange, and does no harm. */
  report?: (line: string) => void
}

/** Proves, as far as that goes without the target, that the wheels will work there. All that is wrong is told at once. */
export async function verifyWheels(verification: Verification): Promise<void> {
  const { platform } = verification
  const problems = await findProblems(verification)
  if (problems.length === 0) return
  const what = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  throw new UserError(
    [
      `the bundle would not work on ${describePlatform(platform)}: ${what}`,
      ...problems.map((problem) => `- ${problem}`),
    ].join('\n'),
  )
}

/** What is asked for from the start: each requirement as it is written, and the roots whatever names them. */
export function askedBy({ lines }: Pick<Requirements, 'lines'>, roots: readonly string[]): string[] {
  const written = lines.filter((line) => !line.startsWith('-')).map((line) => line.replace(/\s--.*$/, ''))
  return [...written, ...roots]
}

async function findProblems({ wheels, platform, asked, python, report }: Verification): Promise<string[]> {
  const problems = wheels.map((wheel) => whyUnfit(wheel, platform)).filter((why) => why !== undefined)
  const readable: WheelContents[] = []
  for (const path of wheels.filter((wheel) => wheel.endsWith('.whl'))) {
    const natives = new NativeFiles(path, platform)
    const contents = await readOrTell(path, natives, problems)
    if (contents) readable.push({ ...contents, mistakes: [...contents.mistakes, ...natives.mistakes] })
  }
  const answer = await resolveNeeds({ wheels: readable, asked, platform, python })
  for (const note of answer.notes) report?.(note)
  return [...problems, ...problemsOf(readable, answer)]
}

/** What is wrong with wheels that could be read, each by itself and all together. */
export function problemsOf(wheels: readonly WheelContents[], { needs, mistakes }: Needs): string[] {
  return [
    ...wheels.flatMap(({ file, mistakes }) => mistakes.map((mistake) => `"${file}": ${mistake}`)),
    ...mistakes.map(({ file, what }) => `"${file}": ${what}`),
    ...twice(wheels),
    ...unmet(needs),
    ...sharedPaths(wheels),
  ]
}

async function readOrTell(
  path: string,
  natives: NativeFiles,
  problems: string[],
): Promise<WheelContents | undefined> {
  try {
    return await readWheel(path, (name, content) => natives.visit(name, content))
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    problems.push(error.message)
    return undefined
  }
}

function twice(wheels: readonly WheelContents[]): string[] {
  const byName = Map.groupBy(wheels, ({ name }) => name)
  return [...byName.values()]
    .filter((same) => same.length > 1)
    .map((same) => `one package in ${same.length} wheels: ${same.map(({ file }) => `"${file}"`).join(', ')}`)
}

function unmet(needs: readonly Need[]): string[] {
  return needs
    .filter(({ isMet }) => !isMet)
    .map(({ by, requirement, found }) => {
      const asks = `${by ? `"${by}" needs` : 'the requirements ask for'} ${requirement}`
      return found ? `${asks}, but version ${found} is there` : `${asks}, which is not there`
    })
}
