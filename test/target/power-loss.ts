import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** Of these the program syncs each by itself: they are whole or they are not there. */
const SYNCED_ALONE = /(^|\/)(\.ready|\.pybundle-release\.json|target\.json|[^/]*\.json)$/

/**
 * What a disk may hold when the power goes: of what has changed since all was last synced, each file and each
 * link as it was or as it is, and a file also empty or cut off.
 */
export function losePower(folder: string, durable: string, random: () => number): void {
  const now = `${folder}.now`
  renameSync(folder, now)
  mkdirSync(folder)
  for (const path of new Set([...pathsIn(durable), ...pathsIn(now)])) {
    const [was, is] = [join(durable, path), join(now, path)]
    const survivor = alike(was, is) || random() < 0.5 ? is : was
    if (!isThere(survivor)) continue
    const place = join(folder, path)
    mkdirSync(dirname(place), { recursive: true })
    cpSync(survivor, place, { verbatimSymlinks: true, preserveTimestamps: true, recursive: true })
    if (survivor === is && !alike(was, is) && mayBeCut(is, path) && random() < 0.3) cut(place, random())
  }
  rmSync(now, { recursive: true })
}

function pathsIn(folder: string, below = folder): string[] {
  if (!existsSync(below)) return []
  return readdirSync(below, { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name)
    const inside = entry.isDirectory() ? pathsIn(folder, path) : []
    return inside.length > 0 ? inside : [relative(folder, path)]
  })
}

function alike(a: string, b: string): boolean {
  return isThere(a) && isThere(b) && describe(a) === describe(b)
}

function describe(path: string): string {
  const status = lstatSync(path)
  if (status.isSymbolicLink()) return `-> ${readlinkSync(path)}`
  return status.isFile() ? readFileSync(path, 'latin1') : 'folder'
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined
}

function mayBeCut(file: string, path: string): boolean {
  return lstatSync(file).isFile() && !SYNCED_ALONE.test(path)
}

function cut(file: string, share: number): void {
  const content = readFileSync(file)
  writeFileSync(file, content.subarray(0, Math.floor(content.length * (share < 0.3 ? 0 : share))))
}
