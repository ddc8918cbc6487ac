import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { maskCredentials } from '../credentials.ts'
import { requiresHashes } from '../inputs/requirements.ts'
import { runPipForPlatform } from '../resolve/pip-platform.ts'
import type { ResolveJob } from '../resolve/resolve.ts'

/** The source archive that a requirement names by its address, or that pip finds for it. */
export async function downloadSource(
  job: ResolveJob,
  line: string,
  folder: string,
  choice: readonly string[] = [],
): Promise<string> {
  await mkdir(folder, { recursive: true })
  const input = `${folder}.in`
  await writeFile(input, `${line}\n`)
  const hashes = requiresHashes(job.requirements) ? ['--require-hashes'] : []
  await runPipForPlatform(
    ['download', '--no-deps', '--dest', folder, ...hashes, ...choice, ...job.indexOptions, '-r', input],
    job,
  )
  const [file] = await readdir(folder)
  if (!file) throw new Error(`pip downloaded nothing for ${maskCredentials(line)}`)
  return join(folder, file)
}
