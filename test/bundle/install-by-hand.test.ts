import { delimiter, dirname } from 'node:path'
import { describe, expect, it, vi } from 'vitest'
import { findInterpreter } from '../../bench/find-interpreter.ts'
import { installBundle } from '../../bench/install-bundle.ts'
import { findPython } from '../../lib/bundle/find-python.ts'
import { platformName } from '../../lib/bundle/platform.ts'
import { makeBundle, useLaptop, writeApp } from './laptop.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { writeWheel } from './wheel-file.ts'

useLaptop()

const VERSIONS = ['3.8', '3.9', '3.10', '3.11', '3.12', '3.13', '3.14']
const interpreters = VERSIONS.map((version) => ({ version, interpreter: findInterpreter(version) ?? '' }))
for (const { version, interpreter } of interpreters) {
  if (!interpreter)
    console.warn(`SKIPPED: python${version} is not on this machine: no bundle was installed with it`)
}

describe.each(interpreters)(
  'a bundle for Python $version',
  { timeout: 180_000 },
  ({ version, interpreter }) => {
    it.runIf(interpreter)('installs by hand, without network and with no pip but its own', async () => {
      vi.stubEnv('PATH', [dirname(interpreter), process.env.PATH].join(delimiter))
      const platform = platformName((await findPython()).platform)
      const folder = writeApp({ requirements: './alpha-1.0-py3-none-any.whl\n./beta-1.0-py3-none-any.whl\n' })
      await writeWheel(folder, { name: 'alpha', requires: ['beta>=1', 'gamma; python_version<"3"'] })
      await writeWheel(folder, { name: 'beta' })
      const { file, manifest } = await makeBundle(folder, platform, version)
      expect(manifest.platform.python).toBe(version)
      const proof = `import alpha, beta, sys; assert "%d.%d" % sys.version_info[:2] == "${version}"`
      await installBundle({ bundle: file, folder: temporaryFolder(), interpreter, proof })
    })
  },
)
