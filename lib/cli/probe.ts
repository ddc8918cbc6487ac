import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { probeCommand, readProbe } from '../bundle/probe.ts'
import { UserError } from '../user-error.ts'
import { appFolder } from './open-app.ts'

export interface ProbeOptions {
  /** The interpreter on the target. */
  python?: string | undefined
  json?: boolean | undefined
}

/** Without an answer, the command to run on a target; with what that printed there, the lines for the configuration. */
export async function probe(answer: string | undefined, options: ProbeOptions): Promise<number> {
  if (answer === undefined) {
    console.error('Run this on a target, and give what it prints to "pybundle probe -":')
    console.log(probeCommand(options.python))
    return 0
  }
  const { name, platform } = readProbe(await read(answer))
  const lines = `platform = "${name}"\npython = "${platform.python}"`
  console.log(options.json ? JSON.stringify({ name, ...platform }) : lines)
  return 0
}

/** The answer itself, a file of it, or standard input. */
async function read(answer: string): Promise<string> {
  if (answer === '-') return text(process.stdin)
  if (answer.trim().startsWith('{')) return answer
  try {
    return readFileSync(appFolder(answer), 'utf8')
  } catch (error) {
    throw new UserError(`cannot read ${appFolder(answer)}: ${(error as Error).message}`, { cause: error })
  }
}
