import { join } from 'node:path'
import { execa } from 'execa'
import { archiveRevision } from '../../lib/code/archive.ts'
import { type RevisionWish, readRevision } from '../../lib/code/revision.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'

export const APP = { 'pybundle.toml': 'app = "shop"\n', 'shop.py': 'print("shop")\n' }

interface ArchiveWish extends RevisionWish {
  exclude?: string[]
  includeSecrets?: string[]
}

export async function archive(
  folder: string,
  { exclude = [], includeSecrets = [], ...wish }: ArchiveWish = {},
) {
  const revision = await readRevision(folder, wish)
  const file = join(temporaryFolder(), 'code.tar.gz')
  const options = { exclude, includeSecrets, configuration: join(folder, 'pybundle.toml') }
  return { ...(await archiveRevision(revision, file, options)), revision }
}

/** As tar shows it: mode, size and path of each member. */
export async function members(file: string): Promise<string[]> {
  const { stdout } = await execa('tar', ['--numeric-owner', '--utc', '-tvzf', file], {
    env: { LC_ALL: 'C.UTF-8' },
  })
  return stdout.split('\n').map((line) => line.replace(/\s+/g, ' '))
}

/** Only the paths. */
export async function pathsIn(file: string): Promise<string[]> {
  const { stdout } = await execa('tar', ['--quoting-style=literal', '-tzf', file])
  return stdout.split('\n')
}

export async function unpack(file: string): Promise<string> {
  const folder = temporaryFolder()
  await execa('tar', ['-xzf', file, '-C', folder])
  return folder
}
