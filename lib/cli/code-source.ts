import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { codeArchiveKind, digestCodeArchive } from '../code/check-archive.ts'
import { readRevision } from '../code/revision.ts'
import { codeKey } from '../release/keys.ts'
import { UserError } from '../user-error.ts'
import { type Artifact, makeCode } from './artifacts.ts'
import { bundlePath } from './inspect.ts'
import type { OpenedApp } from './open-app.ts'

export interface CodeSource {
  /** An archive that is there already; it is taken as it is. */
  from?: string | undefined
  dirty?: boolean | undefined
  revision?: string | undefined
}

interface CodeSupplier {
  make: (folder: string) => Promise<Artifact>
  revision: string
}

/** Finds out what the code archive is made from; making it is left to what is returned. */
export async function codeSupplier(
  app: OpenedApp,
  { from, dirty, revision }: CodeSource,
): Promise<CodeSupplier> {
  if (from === undefined) {
    const found = await readRevision(app.config.folder, { dirty, revision })
    return { make: (folder) => makeCode(app, found, folder), revision: found.name }
  }
  const artifact = await verifyGiven(app, bundlePath(from))
  return { make: async () => artifact, revision: basename(from) }
}

/** Whoever packed it: what would be refused by the functions is refused here. */
async function verifyGiven({ scope }: OpenedApp, file: string): Promise<Artifact> {
  const kind = codeArchiveKind(file)
  if (!kind) throw new UserError(`${file} is no code archive: its name ends neither in .tar.gz nor in .zip.`)
  const digest = await digestCodeArchive(createReadStream(file), kind).catch((error) => {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`${file}: ${error.message}`, { cause: error })
  })
  const { size } = await stat(file)
  return { key: codeKey(scope, digest.slice(0, 12), kind), digest, local: { file, size } }
}
