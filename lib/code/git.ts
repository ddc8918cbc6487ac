import { ExecaError, execa } from 'execa'
import { UserError } from '../user-error.ts'

/** Runs git in a folder, which settings of another repository (a hook's GIT_DIR) must not redirect. */
export async function git(folder: string, args: readonly string[], input?: string): Promise<Buffer> {
  const environment = Object.entries(process.env).filter(([name]) => !REDIRECTIONS.includes(name))
  try {
    const { stdout } = await execa('git', args, {
      cwd: folder,
      encoding: 'buffer',
      stripFinalNewline: false,
      env: { ...Object.fromEntries(environment), LC_ALL: 'C' },
      extendEnv: false,
      ...(input === undefined ? { stdin: 'ignore' as const } : { input }),
    })
    return Buffer.from(stdout)
  } catch (error) {
    if (!(error instanceof ExecaError)) throw error
    if (error.code === 'ENOENT') {
      throw new UserError('no git on this machine: install git, and make sure that it is on the PATH.')
    }
    const said = Buffer.from((error.stderr as Uint8Array | undefined) ?? [])
      .toString()
      .trim()
    throw new UserError(`git ${args[0]} failed in ${folder}: ${said || error.shortMessage}`, { cause: error })
  }
}

const REDIRECTIONS = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_PREFIX',
  'GIT_NAMESPACE',
]
