import { join } from 'node:path'
import { findPython } from '../find-python.ts'
import { noRequirements } from '../inputs/requirements.ts'
import { type BundlePlan, type BundleWish, planBundle } from '../provide.ts'
import { readLegacy } from './legacy.ts'
import { unpackLegacy } from './legacy-unpack.ts'

/** Plans a bundle of everything in one of format 1, which is unpacked below `folder`: that must outlive the making. */
export async function planFromLegacy(file: string, wish: BundleWish, folder: string): Promise<BundlePlan> {
  const trees = await unpackLegacy(file, folder, await findPython(wish.python))
  const { packages = [] } = (await readLegacy(file)) ?? {}
  const local = trees.map((path) => {
    const { checkout } = packages.find((each) => join(folder, each.folder) === path) ?? {}
    return { path, extras: '', marker: '', ...(checkout ? { vcs: checkout } : {}) }
  })
  return planBundle(wish, { ...noRequirements(), local })
}
