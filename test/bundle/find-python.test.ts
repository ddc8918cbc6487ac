import { chmodSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'
import { planBundle } from '../../lib/bundle/provide.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A PATH with one program, which runs the real Python after some lines of Python. */
async function pathWith(name: string, first: string): Promise<string> {
  const { stdout: python } = await execa('python3', [
    '-c',
    'import os, sys; print(os.path.realpath(sys.executable))',
  ])
  const folder = temporaryFolder()
  const program = `import sys; ${first}; exec(sys.argv.pop(1))`
  writeFileSync(join(folder, name), `#!/bin/sh\nshift 2\nexec '${python}' -I -c '${program}' "$@"\n`)
  chmodSync(join(folder, name), 0o755)
  return folder
}

describe('the Python of the laptop', () => {
  it('is found with its pip and what it says of the machine', async () => {
    expect(await findPython()).toMatchObject({
      version: expect.stringMatching(/^3\.\d+/),
      pip: expect.stringMatching(/\/pip-[^/]+\.whl$/),
      platform: { python: expect.stringMatching(/^3\.\d+$/) },
    })
  })

  it('is asked for where there is none', async () => {
    vi.stubEnv('PATH', temporaryFolder())
    await expect(findPython('3.11')).rejects.toThrow(
      'no Python on this machine: looked for python3.11, python3, python on the PATH. Install Python 3.8 or later, with venv.',
    )
    vi.unstubAllEnvs()
  })

  it('must have venv, which distributions pack apart', async () => {
    vi.stubEnv('PATH', await pathWith('python3', 'sys.modules["ensurepip"] = None'))
    await expect(findPython()).rejects.toThrow(/lacks "venv" or "ensurepip".*apt install python3-venv/)
    vi.unstubAllEnvs()
  })

  it('must not be older than 3.8', async () => {
    vi.stubEnv('PATH', await pathWith('python3', 'sys.version_info = (3, 6, 9)'))
    await expect(findPython()).rejects.toThrow(/bundles need Python 3\.8 or later/)
    vi.unstubAllEnvs()
  })

  it('must not be free-threaded', async () => {
    const freed = 'import sysconfig; sysconfig.get_config_vars()["Py_GIL_DISABLED"] = 1'
    vi.stubEnv('PATH', await pathWith('python3', freed))
    await expect(findPython()).rejects.toThrow(/is CPython 3\.\d+\.\d+, free-threaded: that needs wheels/)
    vi.unstubAllEnvs()
  })

  it('is passed over where another one can do more', async () => {
    const folder = await pathWith('python3', 'sys.modules["ensurepip"] = None')
    const { stdout: python } = await execa('python3', [
      '-c',
      'import os, sys; print(os.path.realpath(sys.executable))',
    ])
    symlinkSync(python, join(folder, 'python'))
    vi.stubEnv('PATH', folder)
    expect((await findPython()).executable).toBe(python)
    vi.unstubAllEnvs()
  })

  it('must be the one that the configuration wants for this machine', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'requirements.txt'), 'flask')
    const wish = { folder, requirements: 'requirements.txt', platform: 'this-machine', python: '3.99' }
    await expect(planBundle(wish)).rejects.toThrow(/wants Python 3\.99 on this machine/)
  })
})
