import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../../release/digest.ts'
import { UserError } from '../../user-error.ts'
import { digestSource } from '../source-digest.ts'
import { fetchForPlatform } from './pip-platform.ts'
import type { ResolveJob } from './resolve.ts'

interface PinnedPip {
  /** The minor version of the oldest Python that it runs on. */
  needsMinor: number
  version: string
  sha256: Digest
}

/** Named by digest, so that a lock gives the same bundle on any laptop. Newest first. */
const PINNED: readonly PinnedPip[] = [
  {
    needsMinor: 10,
    version: '26.3',
    sha256: 'f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13',
  },
  {
    needsMinor: 9,
    version: '26.0.1',
    sha256: 'bdb1b08f4274833d62c1aa29e20907365a2ceb950410df15fc9521bad440122b',
  },
  {
    needsMinor: 8,
    version: '25.0.1',
    sha256: 'c46efd13b6aa8279f33f2864459c8ce587ea6a1a59ee20de055868d8f7688f7f',
  },
]

export const PINNED_PIPS: readonly string[] = PINNED.map(({ version }) => version)

/** The wheels of the pips for some Pythons ("3.11"); undefined for one that neither the cache nor the index has. */
export async function pinnedPips(
  pythons: readonly string[],
  job: ResolveJob,
): Promise<(string | undefined)[]> {
  const pins = pythons.map((python) =>
    PINNED.find(({ needsMinor }) => needsMinor <= Number(python.split('.')[1])),
  )
  const wanted = [...new Set(pins)]
  const files = await Promise.all(wanted.map((pinned) => pinned && obtain(pinned, job)))
  return pins.map((pinned) => files[wanted.indexOf(pinned)])
}

async function obtain(pinned: PinnedPip, job: ResolveJob): Promise<string | undefined> {
  const { version, sha256, needsMinor } = pinned
  const kept = join(job.cache, 'files', sha256, `pip-${version}-py3-none-any.whl`)
  if (existsSync(kept) && (await digestSource(kept)) === sha256) return kept
  const input = join(job.folder, `pip-${version}.in`)
  await writeFile(input, `pip==${version} --hash=sha256:${sha256}\n`)
  const args = [...HASTY, '--no-deps', '--only-binary=:all:', ...job.indexOptions, '-r', input]
  const platform = { ...job.platform, python: `3.${needsMinor}` }
  job.report(`fetching pip ${version}`)
  try {
    const [file] = await fetchForPlatform(args, { ...job, platform })
    return file?.path
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    if (IS_ANOTHER.test(error.message)) {
      throw new UserError(
        `what the index has as pip ${version} is another file than the one that bundles are made with:\n${error.message}\nHave the index fetch it anew, or let pip reach another one.`,
        { cause: error },
      )
    }
    job.report(`no index gives pip ${version}: the one that came with Python has to do`)
    return undefined
  }
}

/** By its own sha256, or not even by the one that the index tells. */
const IS_ANOTHER = /DO NOT MATCH THE HASHES|its sha256 is/

/** There is another pip to fall back on. */
const HASTY = ['--retries=0', '--timeout=5']
