import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type CodeFile, readCodeFile, refuseMangled, refuseUnreadable } from './code-file.ts'

/** Every file below a folder that is wanted, by path; a folder is asked for with a "/" at its end. */
export async function* walkFolder(
  folder: string,
  isWanted: (path: string) => boolean,
): AsyncGenerator<CodeFile> {
  for await (const path of walkPaths(folder, isWanted)) {
    const file = await readCodeFile(folder, path)
    if (file) yield file
  }
}

export async function* walkPaths(
  folder: string,
  isWanted: (path: string) => boolean,
  below = '',
): AsyncGenerator<string> {
  refuseMangled(below)
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch((error) =>
    refuseUnreadable(below, error),
  )
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below + entry.name
    if (entry.isDirectory()) {
      if (isWanted(`${path}/`)) yield* walkPaths(folder, isWanted, `${path}/`)
    } else if (isWanted(path)) yield path
  }
}
