import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { execa, type Options } from 'execa'
import { type Cloud, type CloudOptions, startCloud } from '../../local/cloud.ts'
import { type CredentialStore, openCredentialStore } from '../../local/credentials.ts'

export const ROOT = resolve(import.meta.dirname, '../..')

export interface TeamOptions {
  targets: number
  environment?: string
  /** `fleets.toml`, instead of the checkout's own. */
  fleets?: string
  /** In this process, unless the test wants to kill it. */
  start?: (options: CloudOptions) => Promise<Cloud>
  deliver?: NonNullable<CloudOptions['deliver']>
  onCall?: NonNullable<CloudOptions['onCall']>
  /** Who has keys of their own, beside the operator. */
  users?: readonly string[]
}

/** A local cloud with a fleet, and a repository with guestbook in a subfolder of it. */
export async function teamAtWork({
  targets,
  environment = 'staging',
  fleets,
  start = startCloud,
  deliver,
  onCall,
  users = [],
}: TeamOptions) {
  const directory = await mkdtemp(join(tmpdir(), 'pybundle-e2e-'))
  const assembly = join(directory, 'cdk.out')
  const fleetsFile = join(directory, 'fleets.toml')
  if (fleets) await writeFile(fleetsFile, fleets)
  const own = fleets ? { PYBUNDLE_FLEETS_FILE: fleetsFile } : {}
  await execa(process.execPath, ['bin/app.ts'], { cwd: ROOT, env: { CDK_OUTDIR: assembly, ...own } })
  const place = { assembly, directory: join(directory, 'cloud'), port: 0 }
  const keys = new Map(users.map((user) => [user, keysOf(openCredentialStore(place.directory), user)]))
  const cloud = await start({ ...place, ...(deliver && { deliver }), ...(onCall && { onCall }) })
  const fleet = await cloud.startFleet({ environment, app: 'guestbook', count: targets })
  const repository = join(directory, 'repository')
  const app = join(repository, 'services', 'guestbook')
  await cp(join(ROOT, 'examples/guestbook'), app, { recursive: true })
  // npm's own INIT_CWD, where it runs these tests, would be taken for where the user stands.
  const env = { ...cloud.env, XDG_CACHE_HOME: join(directory, 'cache'), INIT_CWD: undefined }
  const run = (file: string, args: string[], options: Options = {}) =>
    execa(file, args, { env, cwd: app, reject: false, all: true, stdin: 'ignore', ...options })

  const git = (...args: string[]) => execa('git', args, { cwd: repository })
  const commit = async (message: string) => {
    await git('add', '--all')
    await git('-c', 'user.name=T', '-c', 'user.email=t@example.com', 'commit', '--quiet', '-m', message)
  }
  await git('init', '--quiet', '--initial-branch=main')
  await commit('first')

  return {
    cloud,
    fleet,
    app,
    directory,
    assembly,
    run,
    commit,
    pybundle: (...args: string[]) => run('node', [join(ROOT, 'bin/pybundle.mjs'), ...args]),
    /** As somebody else than the operator. */
    pybundleAs: (user: string, ...args: string[]) =>
      run('node', [join(ROOT, 'bin/pybundle.mjs'), ...args], { env: { ...env, ...keys.get(user) } }),
    write: (file: string, content: string) => writeFile(join(app, file), content),
    async close() {
      await cloud.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export type TeamAtWork = Awaited<ReturnType<typeof teamAtWork>> & { cloud: Cloud }

/** Issued before the local cloud starts, which reads then who has keys. */
function keysOf(credentials: CredentialStore, user: string): Record<string, string> {
  const { accessKeyId, secretAccessKey } = credentials.issue(`user/${user}`)
  return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }
}
