import { mkdtemp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '../../user-error.ts'
import { markerEnvironment } from '../markers.ts'
import { LATE_PATCH, type Platform } from '../platform.ts'
import { platformTags } from '../tags.ts'
import { type FetchProgress, type PlatformTask, runPip } from './pip.ts'
import type { ResolveJob } from './resolve.ts'

/** Runs pip as if it ran on the platform. */
export function runPipForPlatform(
  [command = '', ...args]: readonly string[],
  { python, cache, platform, folder }: ResolveJob,
  { useIndex = true, ...task }: { useIndex?: boolean } & Omit<PlatformTask, 'markers'> = {},
): Promise<void> {
  return runPip([command, ...platformArguments(platform), ...args], {
    python,
    cache,
    platform: { markers: markerEnvironment(platform), ...task },
    useIndex,
    cwd: folder,
  })
}

/** What pip chose for one package. */
export interface FetchedFile {
  path: string
  name: string
  extras: string[]
  /** Whether a requirement asks for it, and not only another package. */
  isRoot: boolean
}

/**
 * Chooses for the platform by the metadata of wheels, then fetches what was chosen: several at once, into a cache by
 * sha256, going on where an earlier run was cut off.
 */
export async function fetchForPlatform(
  args: readonly string[],
  job: ResolveJob,
  { useIndex = true } = {},
): Promise<FetchedFile[]> {
  const own = await mkdtemp(join(job.folder, 'fetched-'))
  const answer = join(own, 'answer.json')
  let passedOver: string[] = []
  try {
    await runPipForPlatform(['download', '--use-feature=fast-deps', '--dest', own, ...args], job, {
      useIndex,
      fetch: { files: join(job.cache, 'files'), own, answer },
      onTold: ({ fetched, unfit }) => {
        if (fetched) job.report(describe(fetched))
        passedOver = unfit ?? passedOver
      },
    })
  } catch (error) {
    throw error instanceof UserError ? new NothingFits(error, passedOver) : error
  }
  return JSON.parse(await readFile(answer, 'utf8'))
}

/** What pip says where it has no answer. */
export class NothingFits extends UserError {
  /** Wheels that the index has, and that are for others. */
  readonly passedOver: readonly string[]

  constructor({ message, cause }: UserError, passedOver: readonly string[]) {
    super(message, { cause })
    this.passedOver = passedOver
  }
}

function describe({ files, done, bytes }: FetchProgress): string {
  return `downloading: ${done} of ${files} files are here, ${(bytes / 1_000_000).toFixed(1)} MB came`
}

function platformArguments(platform: Platform): string[] {
  return [
    '--implementation=cp',
    `--python-version=${platform.python}.${LATE_PATCH}`,
    ...[`cp${platform.python.replace('.', '')}`, 'abi3', 'none'].map((abi) => `--abi=${abi}`),
    ...platformTags(platform).map((tag) => `--platform=${tag}`),
  ]
}
