import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packBundle } from '../../lib/bundle/pack.ts'
import type { Platform } from '../../lib/bundle/platform.ts'

/** A small bundle of the real format; its wheels are not for installing. */
export async function writeBundle(folder: string, wheels: Record<string, string> = {}) {
  const contents = { 'alpha-1.0-py3-none-any.whl': 'alpha', 'beta-2.0-py3-none-any.whl': 'beta', ...wheels }
  const paths = Object.entries(contents).map(([name, content]) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  })
  const pip = join(folder, 'pip-24.0-py3-none-any.whl')
  writeFileSync(pip, 'pip')
  const file = join(folder, 'x.pybundle')
  const platform: Platform = { machine: 'x86_64', libc: ['glibc', '2.34'], python: '3.11' }
  const parts = { platform, roots: ['beta'], wheels: paths, pip }
  return { file, parts, digest: await packBundle(parts, file) }
}
