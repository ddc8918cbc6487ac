import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { UserError } from '../../user-error.ts'
import { fillVariables, maskCredentials, withoutCredentials } from '../credentials.ts'

/** What a bundle records of a dependency that came from a repository. */
export interface VcsRecord {
  vcs: 'git' | 'hg' | 'svn' | 'bzr'
  url: string
  commit?: string
  /** All that a bundle of format 1 tells: a commit of git, for the others a number. */
  revision?: string
  /** The branch, tag or commit that was asked for. */
  requested?: string
  subdirectory?: string
}

export interface VcsAddress {
  vcs: 'git' | 'hg'
  /** As written: variables are not filled in. */
  url: string
  requested?: string
  subdirectory?: string
}

export interface CheckedOut {
  /** Where the package is. */
  path: string
  record: VcsRecord
}

const ADDRESS = /^(git|hg)\+((?:https?|ssh|git|file|static-http):\/\/[^/]*)(\/[^#]*)(?:#(.*))?$/

/** `git+https://host/repository@revision#subdirectory=folder`; undefined for what is none. */
export function parseVcs(text: string): VcsAddress | undefined {
  const [, vcs, host, path = '', fragment = ''] = text.match(ADDRESS) ?? []
  if (vcs !== 'git' && vcs !== 'hg') return undefined
  const at = path.lastIndexOf('@')
  const requested = at < 0 ? '' : path.slice(at + 1)
  // What begins with a dash would be an option to git or hg.
  if (requested.startsWith('-')) return undefined
  const subdirectory = new URLSearchParams(fragment).get('subdirectory')
  return {
    vcs,
    url: `${host}${at < 0 ? path : path.slice(0, at)}`,
    ...(requested ? { requested } : {}),
    ...(subdirectory ? { subdirectory } : {}),
  }
}

/** The package as it is at the revision, below `folder`, which must not be there yet. */
export async function checkOut(address: VcsAddress, folder: string): Promise<CheckedOut> {
  const { vcs, subdirectory = '' } = address
  const url = withoutCredentials(fillVariables(address.url))
  const commit = vcs === 'git' ? await cloneGit(address, folder) : await cloneHg(address, folder)
  const path = join(folder, subdirectory)
  if (!`${path}/`.startsWith(`${folder}/`) || !existsSync(path)) {
    throw new UserError(`${describe(address)}: commit ${commit} has no folder "${subdirectory}"`)
  }
  return { path, record: { ...address, url, commit } }
}

async function cloneGit(address: VcsAddress, folder: string): Promise<string> {
  const { requested } = address
  const git = (...args: string[]) => run(address, args)
  await git('clone', '--quiet', '--no-checkout', fillVariables(address.url), folder)
  const revision = requested ? await findRevision(address, folder, requested) : 'HEAD'
  await git('-C', folder, 'checkout', '--quiet', '--detach', revision)
  await git('-C', folder, 'submodule', '--quiet', 'update', '--init', '--recursive')
  return git('-C', folder, 'rev-parse', 'HEAD')
}

/** A branch before a tag before a commit, as pip has it; what no branch holds is asked for by name. */
async function findRevision(address: VcsAddress, folder: string, requested: string): Promise<string> {
  for (const name of [`refs/remotes/origin/${requested}`, `refs/tags/${requested}`, requested]) {
    const args = ['-C', folder, 'rev-parse', '--quiet', '--verify', `${name}^{commit}`]
    const { exitCode, stdout } = await execa('git', args, {
      reject: false,
      stdin: 'ignore',
      env: ENVIRONMENT,
    })
    if (exitCode === 0) return stdout
  }
  await run(address, ['-C', folder, 'fetch', '--quiet', 'origin', requested])
  return 'FETCH_HEAD'
}

async function cloneHg(address: VcsAddress, folder: string): Promise<string> {
  const hg = (...args: string[]) => run(address, args)
  await hg('clone', '--quiet', '--noupdate', fillVariables(address.url), folder)
  await hg('--cwd', folder, 'update', '--quiet', `--rev=${address.requested ?? 'default'}`)
  return hg('--cwd', folder, 'log', '--rev=.', '--template={node}')
}

/** Nobody is there to be asked for a password; a hook's GIT_DIR is of another repository. */
const ENVIRONMENT = {
  GIT_TERMINAL_PROMPT: '0',
  HGPLAIN: '1',
  LC_ALL: 'C.UTF-8',
  GIT_DIR: undefined,
  GIT_WORK_TREE: undefined,
  GIT_INDEX_FILE: undefined,
}

async function run(address: VcsAddress, args: string[]): Promise<string> {
  const { vcs } = address
  const { exitCode, stdout, stderr, code } = await execa(
    vcs,
    vcs === 'hg' ? ['--noninteractive', ...args] : args,
    {
      reject: false,
      stdin: 'ignore',
      env: ENVIRONMENT,
    },
  )
  if (exitCode === 0) return stdout.trim()
  if (code === 'ENOENT') {
    throw new UserError(`${describe(address)} needs ${vcs}, which is not on this machine. Install it.`)
  }
  throw new UserError(`could not check out ${describe(address)}:\n${maskCredentials(stderr)}`)
}

function describe({ vcs, url, requested }: VcsAddress): string {
  return `${vcs}+${maskCredentials(url)}${requested ? `@${requested}` : ''}`
}
