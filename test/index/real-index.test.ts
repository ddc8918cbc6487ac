import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { findInterpreter } from '../../bench/find-interpreter.ts'
import { installBundle, interpreterFor } from '../../bench/install-bundle.ts'
import { makeGitRepository } from '../../bench/local-repositories.ts'
import { findPython } from '../../lib/bundle/find-python.ts'
import { inspectBundle } from '../../lib/bundle/inspect.ts'
import { makeBundle, writeApp } from '../bundle/laptop.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { mayUseIndex, pathWithUv } from './package-index.ts'

const WHAT = 'that real dependencies make a bundle'
const mayRun = await mayUseIndex(WHAT)
const pathOfUv = mayRun ? await pathWithUv(WHAT) : undefined
const downloads = mkdtempSync(join(tmpdir(), 'pybundle-downloads-'))
afterAll(() => rmSync(downloads, { recursive: true, force: true }))

const ARM = ['amazon-linux-2023-arm64', '3.11'] as const
const WEB = 'Django\ngunicorn\npsycopg[binary]\ncelery[redis]\n'

const bundleOf = (requirements: string, ...platform: readonly [name: string, python: string]) =>
  makeBundle(writeApp({ requirements }), ...platform)

describe.runIf(mayRun)('a bundle from a real package index', { timeout: 300_000 }, () => {
  beforeEach(() => {
    for (const name of ['PIP_FIND_LINKS', 'PIP_NO_INDEX']) vi.stubEnv(name, undefined)
    vi.stubEnv('PIP_CACHE_DIR', downloads)
    vi.stubEnv('XDG_CACHE_HOME', temporaryFolder())
    vi.stubEnv('PYBUNDLE_RESOLVER', 'pip')
  })

  it('holds all that the app needs on another CPU, the same from pip and from uv', async ({ skip }) => {
    const withPip = await bundleOf(WEB, ...ARM)
    const roots = withPip.manifest.roots.map((root) => root.replace(/\[.*/, ''))
    expect(roots).toEqual(['celery', 'django', 'gunicorn', 'psycopg'])
    expect(withPip.wheels.find((name) => name.startsWith('psycopg_binary-'))).toMatch(/aarch64\.whl$/)
    expect((await inspectBundle(withPip.file)).problems).toEqual([])

    if (!pathOfUv) return skip('no uv')
    vi.stubEnv('PATH', pathOfUv)
    vi.stubEnv('PYBUNDLE_RESOLVER', undefined)
    vi.stubEnv('XDG_CACHE_HOME', temporaryFolder())
    const withUv = await bundleOf(WEB, ...ARM)
    expect(withUv.news).toContain('versions chosen by uv')
    expect(withUv.digest).toBe(withPip.digest)
    expect(readFileSync(withUv.file).equals(readFileSync(withPip.file))).toBe(true)
  })

  it('is for an older glibc than that of this machine, which installs and uses it offline', async ({
    skip,
  }) => {
    const { platform } = await findPython()
    const older = [`glibc-2.28-${platform.machine}`, platform.python] as const
    const { file, manifest } = await bundleOf('pydantic\n', ...older)
    const found = interpreterFor(manifest.platform, platform)
    if ('why' in found) return skip(found.why)
    const proof = 'import pydantic; assert pydantic.TypeAdapter(int).validate_python("42") == 42'
    await installBundle({ bundle: file, folder: temporaryFolder(), proof, ...found })
  })

  it('is the same from a laptop with another Python', async ({ skip }) => {
    const pythons = ['3.9', '3.10', '3.11', '3.12', '3.13'].flatMap(
      (version) => findInterpreter(version) ?? [],
    )
    if (pythons.length < 2) return skip('there is one Python only')
    const digests = []
    for (const python of [pythons[0], pythons.at(-1)]) {
      const folder = temporaryFolder()
      symlinkSync(python ?? '', join(folder, 'python3'))
      vi.stubEnv('PATH', [folder, process.env.PATH].join(delimiter))
      vi.stubEnv('XDG_CACHE_HOME', temporaryFolder())
      digests.push((await bundleOf('pydantic\n', 'debian-13-arm64', '3.14')).digest)
    }
    expect(digests[0]).toBe(digests[1])
  })

  it('holds what has only a source, and a pip for a Python newer than that of this machine', async () => {
    const { wheels, manifest } = await bundleOf('docopt\n', 'debian-13-arm64', '3.14')
    expect(wheels).toEqual([expect.stringMatching(/^docopt-.*-none-any\.whl$/)])
    const [, pip = ''] =
      Object.keys(manifest.members)
        .join()
        .match(/tools\/pip-(\d+)/) ?? []
    expect(Number(pip)).toBeGreaterThanOrEqual(25)
  })

  it('holds what a repository has, built by a backend from the index', async () => {
    const url = await makeGitRepository(temporaryFolder(), 'itsdangerous', await findPython())
    const { wheels, manifest } = await bundleOf(`itsdangerous @ ${url}\n`, ...ARM)
    expect(wheels).toEqual([expect.stringMatching(/^itsdangerous-.*-py3-none-any\.whl$/)])
    expect(manifest.vcs.itsdangerous).toMatchObject({ vcs: 'git', requested: 'main' })
  })
})
