import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { execa } from 'execa'
import { UserError } from '../../lib/user-error.ts'
import { nameSigningKey, type SshKey } from './ssh-key.ts'

const CLI = new URL('../../bin/pybundle.ts', import.meta.url).pathname

export interface TeamOptions {
  /** The example app; its `revisions/N/` are what the team commits later. */
  example: string
  /** What points any AWS client at the local cloud. */
  env: Record<string, string>
  /** A cache of its own, so that the first bundle is really made. */
  cache: string
  /** Signs what goes to production. */
  signingKey: SshKey
  say: (line: string) => void
}

/** A team with a laptop: a repository of its own, and the commands that anybody has. */
export class Team {
  readonly repository: string
  readonly #options: TeamOptions

  private constructor(repository: string, options: TeamOptions) {
    this.repository = repository
    this.#options = options
  }

  /** To be called before anything is begun that takes time. */
  static async requireGit(): Promise<void> {
    const { failed } = await execa('git', ['--version'], { reject: false })
    if (failed)
      throw new UserError(
        'The demo commits and publishes as a team would: it needs git on the PATH. Install it.',
      )
  }

  /** Copies the example into a new repository and commits it. */
  static async start(options: TeamOptions): Promise<Team> {
    const repository = await mkdtemp(join(tmpdir(), 'pybundle-demo-'))
    const team = new Team(repository, options)
    await cp(options.example, repository, {
      recursive: true,
      filter: (path) => !/\/(revisions|\.venv)$/.test(path),
    })
    await nameSigningKey(repository, options.signingKey)
    await team.#git('init', '--quiet', '--initial-branch=main')
    // For who goes on in it by hand, too.
    await team.#git('config', 'user.name', 'Demo')
    await team.#git('config', 'user.email', 'demo@example.com')
    await team.#commit('First revision')
    return team
  }

  async commitRevision(number: number): Promise<void> {
    await cp(join(this.#options.example, 'revisions', String(number)), this.repository, { recursive: true })
    await this.#commit(`Revision ${number}`)
  }

  /** Runs a command of the CLI as a user would, telling what it says as it says it. */
  async run(command: string, ...args: string[]): Promise<number> {
    const { say, env, cache } = this.#options
    const child = execa(process.execPath, [CLI, command, ...args, '--app', this.repository], {
      env: { ...env, XDG_CACHE_HOME: cache, ...(process.stderr.isTTY && { FORCE_COLOR: '1' }) },
      reject: false,
      stdin: 'ignore',
    })
    const told = [child.stdout, child.stderr].map(async (stream) => {
      for await (const line of createInterface({ input: stream })) say(line)
    })
    const [result] = await Promise.all([child, ...told])
    return result.exitCode ?? 70
  }

  /** What `git archive` makes of the last commit: an archive that none of our tools has seen. */
  async archiveByHand(): Promise<Uint8Array> {
    const archive = ['archive', '--format=tar.gz', 'HEAD']
    return (await execa('git', archive, { cwd: this.repository, encoding: 'buffer' })).stdout
  }

  async leave(): Promise<void> {
    await rm(this.repository, { recursive: true, force: true })
  }

  async #commit(message: string): Promise<void> {
    await this.#git('add', '--all')
    await this.#git('commit', '--quiet', '-m', message)
  }

  #git(...args: string[]) {
    return execa('git', args, { cwd: this.repository })
  }
}
