import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { pathWithUv } from '../index/package-index.ts'
import { makeBundle, useLaptop, writeApp } from './laptop.ts'
import { startIndex } from './package-index.ts'
import { temporaryFolder } from './temporary-folder.ts'

useLaptop()

const path = await pathWithUv('that uv makes the same bundle as pip')

describe('uv, where it is on the machine', () => {
  beforeEach(() => void vi.stubEnv('PATH', path ?? process.env.PATH))

  it.runIf(path).each([
    ['amazon-linux-2023-arm64', '3.11'],
    ['debian-12-x86_64', '3.11'],
  ])('makes the same bundle as pip alone: %s, Python %s', async (platform, python) => {
    const index = await startIndex(
      [
        {
          name: 'app',
          requires: ['lib<3', 'arm; platform_machine=="aarch64"', 'old; python_version<"3.12"'],
        },
        { name: 'lib', version: '2.0' },
        { name: 'lib', version: '3.0' },
        { name: 'arm', tag: 'cp311-cp311-manylinux_2_17_aarch64' },
        { name: 'arm', version: '2.0', tag: 'cp311-cp311-manylinux_2_35_aarch64' },
        { name: 'old', requiresPython: '!=3.11.0' },
      ],
      [{ name: 'lib', version: '2.5' }],
    )
    vi.stubEnv('PIP_INDEX_URL', index.url)
    const folder = writeApp({
      requirements: 'app\n./vendor/near\n',
      vendor: [{ name: 'near', requires: ['lib'] }],
    })
    const withPip = await makeBundle(folder, platform, python)
    vi.stubEnv('XDG_CACHE_HOME', temporaryFolder())
    vi.stubEnv('PYBUNDLE_RESOLVER', undefined)
    const withUv = await makeBundle(folder, platform, python)
    expect(withUv.news).toContain('versions chosen by uv')
    expect(withPip.news).not.toContain('versions chosen by uv')
    expect(withUv.digest).toBe(withPip.digest)
    expect(readFileSync(withUv.file).equals(readFileSync(withPip.file))).toBe(true)
  })

  it.runIf(path).each([
    {
      what: 'a level of glibc that uv has no name for',
      platform: 'debian-13-x86_64',
      wheels: [{ name: 'app' }, { name: 'app', version: '2.0', tag: 'py3-none-manylinux_2_41_x86_64' }],
      requirements: () => 'app\n',
      chosen: 'app-2.0-py3-none-manylinux_2_41_x86_64.whl',
    },
    {
      what: 'early releases that the requirements allow',
      platform: 'debian-12-x86_64',
      wheels: [{ name: 'app' }, { name: 'app', version: '2.0rc1' }],
      requirements: () => '--pre\napp\n',
      chosen: 'app-2.0rc1-py3-none-any.whl',
    },
    {
      what: 'an index that the requirements name, over that of the settings',
      platform: 'debian-12-x86_64',
      wheels: [{ name: 'app' }, { name: 'app', version: '2.0' }],
      requirements: (index: string) => `--index-url ${index}\napp\n`,
      chosen: 'app-2.0-py3-none-any.whl',
    },
  ])('chooses as pip does: $what', async ({ platform, wheels, requirements, chosen }) => {
    const index = await startIndex(wheels)
    const other = await startIndex(wheels.slice(0, 1))
    const isNamed = requirements('').includes('index')
    vi.stubEnv('PIP_INDEX_URL', isNamed ? other.url : index.url)
    vi.stubEnv('UV_DEFAULT_INDEX', other.url)
    for (const resolver of ['pip', undefined]) {
      vi.stubEnv('XDG_CACHE_HOME', temporaryFolder())
      vi.stubEnv('PYBUNDLE_RESOLVER', resolver)
      const app = writeApp({ requirements: requirements(index.url) })
      expect((await makeBundle(app, platform, '3.11')).wheels).toEqual([chosen])
    }
  })

  it('leaves to pip what it cannot choose', async () => {
    const index = await startIndex([], [{ name: 'alpha' }])
    vi.stubEnv('PIP_INDEX_URL', index.url)
    vi.stubEnv('PYBUNDLE_RESOLVER', undefined)
    const { wheels, news } = await makeBundle(writeApp({ requirements: 'alpha # source only\n' }))
    expect(wheels).toEqual(['alpha-1.0-py3-none-any.whl'])
    expect(news).not.toContain('versions chosen by uv')
  })
})
