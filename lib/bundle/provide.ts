import { mkdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Digest, sha256 } from '../release/digest.ts'
import { withTemporaryFolder } from '../temporary.ts'
import { UserError } from '../user-error.ts'
import { cacheFolder } from './cache.ts'
import { findPython, type Python } from './find-python.ts'
import { readInputs } from './inputs/inputs.ts'
import type { Requirements } from './inputs/requirements.ts'
import { BUNDLE_FORMAT, type BundleManifest } from './manifest.ts'
import { packBundle } from './pack.ts'
import { describePlatform, type Platform, platformOf, THIS_MACHINE } from './platform.ts'
import { readBundle } from './read.ts'
import { PINNED_PIPS } from './resolve/pinned-pip.ts'
import { resolveWheels } from './resolve/resolve.ts'
import { digestSource } from './source-digest.ts'
import { askedBy, verifyWheels } from './verify/verify.ts'

/** What the app's configuration says about its dependencies. */
export interface BundleWish {
  folder: string
  requirements: string
  platform: string
  python?: string | undefined
}

/** Everything that a bundle is made from, known to be there. */
export interface BundlePlan {
  requirements: Requirements
  python: Python
  platform: Platform
}

export interface MadeBundle {
  file: string
  /** The bundle id. */
  digest: Digest
  manifest: BundleManifest
  size: number
  isReused: boolean
  /** Why it was made, or not made again. */
  why: string
}

export interface ProvideOptions {
  /** Asks the index again, though nothing changed here. */
  upgrade?: boolean | undefined
  report: (line: string) => void
}

/** Finds out, before anything else is done, whether a bundle can be made here. */
export async function planBundle(wish: BundleWish, given?: Requirements): Promise<BundlePlan> {
  const python = await findPython(wish.python)
  const platform = platformOf(wish.platform, wish.python, python.platform)
  if (wish.platform === THIS_MACHINE && wish.python && wish.python !== platform.python) {
    throw new UserError(
      `the configuration wants Python ${wish.python} on this machine, but there is only ${python.executable} (${python.version}). Install python${wish.python}, or change "python".`,
    )
  }
  const requirements = given ?? (await readInputs(wish.folder, wish.requirements, { platform, python }))
  return { requirements, python, platform }
}

/** Makes the bundle once; the same one serves until the requirements, the local sources or the platform change. */
export async function provideBundle(plan: BundlePlan, options: ProvideOptions): Promise<MadeBundle> {
  const cache = cacheFolder()
  const file = join(cache, 'bundles', `${await digestInputs(plan)}.pybundle`)
  const kept = options.upgrade ? undefined : await openKept(file)
  if (kept) return { ...kept, isReused: true, why: await whyReused(plan, file) }
  await mkdir(join(cache, 'bundles'), { recursive: true })
  await withTemporaryFolder(async (folder) => {
    const parts = await resolveWheels({ ...plan, cache, folder, report: options.report })
    const count = `${parts.wheels.length} wheel${parts.wheels.length === 1 ? '' : 's'}`
    options.report(`verifying ${count}`)
    const asked = askedBy(plan.requirements, parts.roots)
    await verifyWheels({ ...plan, wheels: parts.wheels, asked, report: options.report })
    options.report(`packing ${count}`)
    await packBundle(parts, file)
  })
  const why = options.upgrade ? 'asked to' : 'none made yet from these requirements and local sources'
  return { ...(await openFile(file)), isReused: false, why: `${why}, for ${describePlatform(plan.platform)}` }
}

async function digestInputs({ requirements, platform }: BundlePlan): Promise<Digest> {
  const files = requirements.files.map((file) => digestSource(file))
  const local = requirements.local.map(async ({ path, ...asked }) => ({
    ...asked,
    source: await digestSource(path),
  }))
  const inputs = [
    BUNDLE_FORMAT,
    platform,
    PINNED_PIPS,
    requirements.remote,
    requirements.names,
    // Of one file, other groups give other lines. Options hold absolute paths; what they say is in the files.
    requirements.lines.filter((line) => !line.startsWith('-')),
    requirements.constraints,
    requirements.noBinary,
    await Promise.all(files),
    await Promise.all(local),
  ]
  return sha256(JSON.stringify(inputs))
}

async function openKept(file: string) {
  try {
    return await openFile(file)
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (isAbsent || error instanceof UserError) return undefined
    throw error
  }
}

async function openFile(file: string) {
  return { file, ...(await readBundle(file)), size: (await stat(file)).size }
}

async function whyReused({ requirements }: BundlePlan, file: string): Promise<string> {
  const { files, local } = requirements
  const sources = local.length === 0 ? [] : [`${local.length} local source${local.length > 1 ? 's' : ''}`]
  const inputs = [...files.map((path) => basename(path)), ...sources].join(', ')
  const since = (await stat(file)).mtime.toISOString().slice(0, 16).replace('T', ' ')
  return `${inputs} unchanged since ${since} UTC`
}
