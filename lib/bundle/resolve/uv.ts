import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { LATE_PATCH, type Platform } from '../platform.ts'
import { pipSettings } from './pip.ts'
import type { ResolveJob } from './resolve.ts'

/**
 * The versions that uv, where it is on this machine, finds for the platform: it has them in a fraction of pip's time.
 * They only narrow what pip is to choose from. Where several answers are right, it may be another than pip's own. Empty
 * where uv has none.
 */
export async function pinWithUv(job: ResolveJob, lines: readonly string[]): Promise<string[]> {
  const target = uvPlatform(job.platform)
  if (!target || process.env.PYBUNDLE_RESOLVER === 'pip') return []
  const input = join(job.folder, 'uv.in')
  const output = join(job.folder, 'uv.out')
  const constraints = join(job.folder, 'uv.constraints')
  await writeFile(input, lines.join('\n'))
  await writeFile(constraints, job.requirements.constraints.join('\n'))
  const { exitCode } = await execa(
    'uv',
    [...ARGUMENTS, ...argumentsOf(job, target), '--constraints', constraints, '--output-file', output, input],
    { cwd: job.folder, reject: false, stdin: 'ignore', env: await uvEnvironment(job), extendEnv: false },
  )
  if (exitCode !== 0) return []
  job.report('versions chosen by uv')
  return (await readFile(output, 'utf8')).split('\n').filter((line) => /^[\w.-]+==\S+$/.test(line))
}

const ARGUMENTS = [
  ...['pip', 'compile', '--quiet', '--strip-extras', '--no-config', '--no-header', '--no-annotate'],
  ...['--only-binary', ':all:', '--no-python-downloads'],
  // pip takes the best of all indexes; uv would stop at the first that has the name.
  ...['--index-strategy', 'unsafe-best-match'],
]

function argumentsOf({ python, platform, requirements }: ResolveJob, target: string): string[] {
  return [
    // uv reads no such option from files.
    ...(requirements.lines.includes('--pre') ? ['--prerelease', 'allow'] : []),
    ...['--python', python.executable, '--python-platform', target],
    ...['--python-version', `${platform.python}.${LATE_PATCH}`],
  ]
}

/** Levels of glibc that uv has a name for: asked for another one, it would miss what needs just that. */
const GLIBC = [17, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40]

function uvPlatform({ machine, libc: [libc, version] }: Platform): string | undefined {
  if (machine !== 'x86_64' && machine !== 'aarch64') return undefined
  const level = Number(version.split('.')[1])
  return libc === 'glibc' && GLIBC.includes(level) ? `${machine}-manylinux_2_${level}` : undefined
}

/** What of the user's settings has no part in what is chosen. */
const HARMLESS = [
  'UV_CACHE_DIR',
  'UV_HTTP_TIMEOUT',
  'UV_KEYRING_PROVIDER',
  'UV_NATIVE_TLS',
  'UV_SYSTEM_CERTS',
]

/** uv is to ask where pip asks, of whose configuration it knows nothing; as variables, which no list of processes shows. */
async function uvEnvironment({ python, cache, requirements }: ResolveJob): Promise<NodeJS.ProcessEnv> {
  const settings = await pipSettings(python, cache)
  const namesIndex = requirements.lines.some((line) => /^(-i|--index-url)\b/.test(line))
  const named = {
    UV_DEFAULT_INDEX: namesIndex ? undefined : settings['index-url'],
    UV_INDEX: settings['extra-index-url'],
    UV_FIND_LINKS: settings['find-links'],
    UV_INSECURE_HOST: settings['trusted-host'],
    SSL_CERT_FILE: settings.cert,
  }
  const own = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('UV_') || HARMLESS.includes(name),
  )
  const given = Object.entries(named).filter(([, value]) => value)
  return Object.fromEntries([...own, ...given])
}
