import { buffer } from 'node:stream/consumers'
import type { Entry, ZipFile } from 'yauzl'
import { isZipComplaint, readEntries } from '../archive-entries.ts'
import type { Digest } from '../release/digest.ts'
import { UserError } from '../user-error.ts'
import { type BundleManifest, bundleId, bundleManifest, MANIFEST_NAME } from './manifest.ts'
import { openRanges, type RangeSource } from './read-ranges.ts'

export interface OpenBundle {
  digest: Digest
  manifest: BundleManifest
  zip: ZipFile
  entries: Map<string, Entry>
}

/** Reads only the zip's directory and `pybundle.json`. A UserError says what the file is when it is no bundle. */
export async function readManifest(
  source: RangeSource,
): Promise<{ digest: Digest; manifest: BundleManifest }> {
  const { digest, manifest } = await openBundle(source)
  return { digest, manifest }
}

export async function openBundle(source: RangeSource): Promise<OpenBundle> {
  const zip = await openZip(source)
  const entries = await listEntries(zip)
  refuseLegacy(entries)
  const text = await readManifestText(zip, entries.get(MANIFEST_NAME))
  const manifest = parseManifest(text)
  refuseStrangers(manifest, entries)
  return { digest: bundleId(text), manifest, zip, entries }
}

const MANIFEST_LIMIT = 8 * 1024 * 1024
const MEMBER_PATTERN =
  /^(wheels\/[\w.+!-]+\.whl|tools\/pip-[\w.+!-]+\.whl|requirements\.txt|pylock\.toml|pybundle\.json)$/
export const LEGACY_MANIFESTS: readonly string[] = ['pip-manifest.txt', 'pyinstall-manifest.txt']

async function openZip(source: RangeSource): Promise<ZipFile> {
  try {
    return await openRanges(source)
  } catch (error) {
    throw await whatItIs(source, error)
  }
}

async function whatItIs(source: RangeSource, error: unknown): Promise<unknown> {
  if (!isZipComplaint(error)) return error
  const head = source.size === 0 ? Buffer.alloc(0) : await source.read(0, Math.min(3, source.size - 1))
  const isZip = Buffer.from(head).toString('latin1').startsWith('PK')
  const what = isZip
    ? 'it begins like one, but its end is missing: it was cut off, upload it again'
    : source.size === 0
      ? 'it is empty'
      : 'it is no zip file at all'
  return new UserError(`not a .pybundle: ${what}.`, { cause: error })
}

async function listEntries(zip: ZipFile): Promise<Map<string, Entry>> {
  try {
    return await readEntries(zip)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`not a .pybundle: ${error.message}.`, { cause: error })
  }
}

function refuseLegacy(entries: ReadonlyMap<string, Entry>): void {
  if (!LEGACY_MANIFESTS.some((name) => entries.has(name))) return
  throw new UserError(
    'a bundle of format 1, as pip wrote it until pip 6.0: it holds sources, which a target would have to build. Convert and publish it: pybundle publish-bundle --from FILE',
  )
}

async function readManifestText(zip: ZipFile, entry: Entry | undefined): Promise<Buffer> {
  if (!entry) throw new UserError(`not a .pybundle: a zip file, but without ${MANIFEST_NAME}.`)
  if (entry.uncompressedSize > MANIFEST_LIMIT) {
    throw new UserError(`not a .pybundle: its ${MANIFEST_NAME} has ${entry.uncompressedSize} bytes.`)
  }
  try {
    return await buffer(await zip.openReadStreamPromise(entry))
  } catch (error) {
    if (!isZipComplaint(error)) throw error
    throw new UserError(
      `not a .pybundle: its ${MANIFEST_NAME} cannot be read (${(error as Error).message}).`,
      {
        cause: error,
      },
    )
  }
}

function parseManifest(text: Buffer): BundleManifest {
  let content: unknown
  try {
    content = JSON.parse(text.toString('utf8'))
  } catch (error) {
    throw new UserError(`not a .pybundle: its ${MANIFEST_NAME} is not JSON.`, { cause: error })
  }
  const parsed = bundleManifest.safeParse(content)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new UserError(
    `not a .pybundle of format 2: its ${MANIFEST_NAME}: ${issue?.path.join('.')}: ${issue?.message}.`,
    { cause: parsed.error },
  )
}

function refuseStrangers(manifest: BundleManifest, entries: ReadonlyMap<string, Entry>): void {
  for (const [name, entry] of entries) {
    if (!MEMBER_PATTERN.test(name))
      throw new UserError(`not a .pybundle: "${name}" does not belong into one.`)
    if (entry.compressionMethod !== 0) throw new UserError(`not a .pybundle: "${name}" is compressed.`)
    const listed = manifest.members[name]
    if (name !== MANIFEST_NAME && !listed) throw new UserError(`"${name}" is not listed in ${MANIFEST_NAME}.`)
    if (listed && listed.size !== entry.uncompressedSize) {
      throw new UserError(`"${name}" has ${entry.uncompressedSize} bytes, not ${listed.size} as listed.`)
    }
  }
  const absent = Object.keys(manifest.members).find((name) => !entries.has(name))
  if (absent) throw new UserError(`"${absent}" is listed in ${MANIFEST_NAME}, but is not in the file.`)
}
