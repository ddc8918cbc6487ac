import { ExecaError, execa } from 'execa'
import { UserError } from '../user-error.ts'

export interface VcsRun {
  folder: string
  /** Beside the user's own; undefined hides one of those. */
  env: NodeJS.ProcessEnv
  input?: string | Buffer | undefined
}

/** What git or hg said when it failed. */
export class VcsError extends UserError {
  readonly said: string

  constructor(message: string, said: string, cause: unknown) {
    super(message, { cause })
    this.said = said
  }
}

/** Runs git or hg and gives what it wrote; a VcsError when it fails. */
export async function runVcs(
  program: 'git' | 'hg',
  args: readonly string[],
  { folder, env, input }: VcsRun,
): Promise<Buffer> {
  try {
    const { stdout } = await execa(program, args, {
      cwd: folder,
      encoding: 'buffer',
      stripFinalNewline: false,
      maxBuffer: Number.POSITIVE_INFINITY,
      env,
      ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    })
    return Buffer.from(stdout)
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error
    if (error.code === 'ENOENT') {
      throw new UserError(
        `no ${program} on this machine: install ${NAMES[program]}, and make sure that it is on the PATH.`,
      )
    }
    const said = Buffer.from((error.stderr as Uint8Array | undefined) ?? [])
      .toString()
      .trim()
    throw new VcsError(
      `${program} ${args[0]} failed in ${folder}: ${said || error.shortMessage}`,
      said,
      error,
    )
  }
}

const NAMES = { git: 'git', hg: 'Mercurial' }

export function splitNul(output: Buffer): string[] {
  return output.toString('utf8').split('\0').filter(Boolean)
}
