import { createHash } from 'node:crypto'
import type { Entry, ZipFile } from 'yauzl'
import type { Digest } from '../release/digest.ts'
import { UserError } from '../user-error.ts'
import type { BundleManifest } from './manifest.ts'
import { type OpenBundle, openBundle } from './read-manifest.ts'
import { type RangeSource, withFile } from './read-ranges.ts'

/** Opens a bundle and verifies every member; a UserError says what is wrong with the file. */
export async function readBundle(file: string): Promise<{ digest: Digest; manifest: BundleManifest }> {
  return useBundle(file, async ({ digest, manifest }) => ({ digest, manifest }))
}

/** The same, for who wants to read on. */
export async function useBundle<T>(
  file: string,
  use: (bundle: OpenBundle, source: RangeSource) => Promise<T>,
): Promise<T> {
  try {
    return await withFile(file, async (source) => {
      const bundle = await openBundle(source)
      await verifyMembers(bundle)
      return use(bundle, source)
    })
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`${file}: ${error.message}`, { cause: error })
    throw error
  }
}

async function verifyMembers({ manifest, zip, entries }: OpenBundle): Promise<void> {
  for (const [name, entry] of entries) {
    const digest = await digestMember(zip, entry)
    const listed = manifest.members[name]
    if (listed && listed.sha256 !== digest) {
      throw new UserError(`"${name}" is not what pybundle.json says: its sha256 differs.`)
    }
  }
}

async function digestMember(zip: ZipFile, entry: Entry): Promise<Digest> {
  try {
    // Other readers go by the header before the member, not by the directory at the end.
    const header = await zip.readLocalFileHeaderPromise(entry)
    if (!header.fileName.equals(entry.fileNameRaw)) throw new Error('it has two names')
    const hash = createHash('sha256')
    for await (const chunk of await zip.openReadStreamPromise(entry)) hash.update(chunk)
    return hash.digest('hex')
  } catch (error) {
    throw new UserError(
      `"${entry.fileName}" cannot be read: the file was cut off or changed (${(error as Error).message}).`,
      { cause: error },
    )
  }
}
