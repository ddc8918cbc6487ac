import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { pipSettings } from './pip.ts'
import { LATE_PATCH, type Platform } from './platform.ts'
import type { ResolveJob } from './resolve.ts'

/**
 * The versions that uv, where it is on this machine, finds for the platform: it has them in a fraction of pip's time.
 * They only narrow what pip is to choose from, so that both make the same bundle. Empty where uv has no answer.
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
    {
      cwd: job.folder,
      reject: false,
      stdin: 'ignore',
      env: await indexSettings(job),
    },
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

function argumentsOf({ python, platform }: ResolveJob, target: string): string[] {
  return [
    ...['--python', python.executable, '--python-platform', target],
    ...['--python-version', `${platform.python}.${LATE_PATCH}`],
  ]
}

/** Levels of glibc that uv has a name for; the newest that the platform has. */
const GLIBC = [40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 28, 17]

function uvPlatform({ machine, libc: [libc, version] }: Platform): string | undefined {
  if (machine !== 'x86_64' && machine !== 'aarch64') return undefined
  const level = GLIBC.find((known) => known <= Number(version.split('.')[1]))
  return libc === 'glibc' && level ? `${machine}-manylinux_2_${level}` : undefined
}

/** uv knows nothing of pip's configuration. As variables, so that no list of processes shows credentials. */
async function indexSettings({ python, cache }: ResolveJob): Promise<NodeJS.ProcessEnv> {
  const settings = await pipSettings(python, cache)
  const named: Record<string, string | undefined> = {
    UV_DEFAULT_INDEX: settings['index-url'],
    UV_INDEX: settings['extra-index-url'],
    UV_FIND_LINKS: settings['find-links'],
    UV_INSECURE_HOST: settings['trusted-host'],
    SSL_CERT_FILE: settings.cert,
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value))
}
