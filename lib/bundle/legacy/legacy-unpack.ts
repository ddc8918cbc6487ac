import { createWriteStream } from 'node:fs'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { readMember } from '../../archive-entries.ts'
import { UserError } from '../../user-error.ts'
import type { Python } from '../find-python.ts'
import { treesOf, useLegacy } from './legacy.ts'
import { LEGACY_BACKEND } from './legacy-backend.ts'

/** Unpacks a bundle of format 1 below `folder`; its source trees, ready for being built. */
export async function unpackLegacy(file: string, folder: string, python: Python): Promise<string[]> {
  const trees = await useLegacy(file, async ({ zip, entries }) => {
    const trees = treesOf(entries)
    const unbuildable = trees.filter((tree) => !entries.has(`${tree}/setup.py`))
    if (trees.length === 0) throw new UserError('it holds no package')
    if (unbuildable.length > 0) throw new UserError(`there is no setup.py in ${unbuildable.join(', ')}`)
    for (const [name, entry] of entries) {
      if (!trees.some((tree) => name.startsWith(`${tree}/`))) continue
      const path = join(folder, name)
      await mkdir(dirname(path), { recursive: true })
      const isExecutable = ((entry.externalFileAttributes >>> 16) & 0o100) !== 0
      const output = createWriteStream(path, { flags: 'wx', mode: isExecutable ? 0o755 : 0o644 })
      await pipeline(readMember(zip, entry), output)
    }
    return trees.map((tree) => join(folder, tree))
  })
  if (!trees) throw new UserError(`${file}: no bundle of format 1`)
  const setuptools = await findSetuptools(python)
  if (setuptools) for (const tree of trees) await bringBackend(tree, setuptools)
  return trees
}

/** Until 3.12 every Python brought its setuptools, beside its pip; without one, pip asks the index for it. */
async function findSetuptools({ pip }: Python): Promise<string | undefined> {
  const folder = dirname(pip)
  const files = (await readdir(folder)).filter((name) => /^setuptools-.*\.whl$/.test(name)).sort()
  const newest = files.at(-1)
  return newest && join(folder, newest)
}

/** That setuptools cannot make wheels by itself, and no index is needed for what can. */
async function bringBackend(tree: string, setuptools: string): Promise<void> {
  if (await stat(join(tree, 'pyproject.toml')).catch(() => undefined)) return
  await mkdir(join(tree, BACKEND_FOLDER))
  await writeFile(
    join(tree, BACKEND_FOLDER, 'backend.py'),
    `SETUPTOOLS = ${JSON.stringify(setuptools)}\n${LEGACY_BACKEND}`,
  )
  await writeFile(
    join(tree, 'pyproject.toml'),
    `[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["${BACKEND_FOLDER}"]\n`,
  )
}

const BACKEND_FOLDER = '.pybundle-backend'
