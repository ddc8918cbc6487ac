import { createHash } from 'node:crypto'
import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../release/digest.ts'

/** What tools leave behind in a source tree. */
const LEFTOVERS = /^(\.git|\.hg|\.venv|__pycache__|node_modules|.*\.egg-info|.*\.pyc)$/

/** The same for the same contents, wherever the file or the folder is. */
export async function digestSource(path: string): Promise<Digest> {
  const hash = createHash('sha256')
  if ((await stat(path)).isFile()) return hash.update(await readFile(path)).digest('hex')
  for await (const { name, content } of walk(path, '')) {
    hash.update(`${name}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

async function* walk(root: string, folder: string): AsyncGenerator<{ name: string; content: Buffer }> {
  const entries = await readdir(join(root, folder), { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (LEFTOVERS.test(entry.name)) continue
    const name = folder ? `${folder}/${entry.name}` : entry.name
    if (entry.isDirectory()) yield* walk(root, name)
    else if (entry.isSymbolicLink()) yield { name, content: Buffer.from(await readlink(join(root, name))) }
    else if (entry.isFile()) yield { name, content: await readFile(join(root, name)) }
  }
}
