import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { unmatched } from '../../lib/bundle/build/sdist.ts'
import { findPython } from '../../lib/bundle/find-python.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { elfFile } from './elf-file.ts'
import { makeBundle, useLaptop, writeApp } from './laptop.ts'
import type { PackageOptions } from './local-package.ts'
import { packSource, startIndex } from './package-index.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { writeWheel } from './wheel-file.ts'

useLaptop()

const ARM = ['amazon-linux-2023-arm64', '3.11'] as const

async function bundleWith(
  requirements: string,
  packages: { wheels?: PackageOptions[]; sources: PackageOptions[] },
  ...platform: string[]
) {
  const index = await startIndex(packages.wheels ?? [], packages.sources)
  vi.stubEnv('PIP_INDEX_URL', index.url)
  // A comment makes it a requirements file of its own, of which no bundle is kept.
  return makeBundle(writeApp({ requirements: `${requirements}# ${index.url}\n` }), ...platform)
}

describe('a dependency that has no wheel', () => {
  it('is built from its source, for another platform too, where it is pure Python', async () => {
    const { wheels, news, manifest } = await bundleWith(
      'app\n',
      {
        wheels: [
          { name: 'app', requires: ['old_one>=1', 'other'] },
          { name: 'other', requires: ['old-one<3'] },
        ],
        sources: [
          { name: 'old_one', version: '2.0' },
          { name: 'old_one', version: '3.0' },
        ],
      },
      ...ARM,
    )
    expect(wheels).toEqual([
      'app-1.0-py3-none-any.whl',
      'old_one-2.0-py3-none-any.whl',
      'other-1.0-py3-none-any.whl',
    ])
    expect(manifest.roots).toEqual(['app'])
    expect(news).toContain('looking for the source of old-one, which has no wheel that fits')
  })

  it('must have the sha256 that the requirements name', async () => {
    const source = await packSource({ name: 'alpha' }, temporaryFolder())
    const pinned = (digest: string) => `alpha==1.0 ; python_version > "3" --hash=sha256:${digest}\n`
    const sources = [{ name: 'alpha' }]
    const index = await startIndex([], sources)
    vi.stubEnv('PIP_INDEX_URL', index.url)
    const digest = sha256(readFileSync(join(index.folder, 'alpha-1.0.tar.gz')))
    expect(source).toMatch(/alpha-1\.0\.tar\.gz$/)
    expect((await makeBundle(writeApp({ requirements: pinned(digest) }))).wheels).toHaveLength(1)
    await expect(makeBundle(writeApp({ requirements: pinned(sha256('other')) }))).rejects.toThrow(
      /DO NOT MATCH|hashes/,
    )
  })

  it('is not built where hashes are required, and it has none', async () => {
    const index = await startIndex([{ name: 'other' }], [{ name: 'alpha' }])
    vi.stubEnv('PIP_INDEX_URL', index.url)
    const other = `other==1.0 --hash=sha256:${sha256(readFileSync(join(index.folder, 'other-1.0-py3-none-any.whl')))}`
    const alpha = `${index.url.replace('/simple', '/files')}/alpha-1.0.tar.gz`
    for (const required of ['--require-hashes', other])
      for (const asked of ['alpha==1.0', alpha])
        await expect(makeBundle(writeApp({ requirements: `${required}\n${asked}\n` }))).rejects.toThrow(
          /Hashes are required in --require-hashes mode/,
        )
  })

  it('is built too where "--only-binary :none:" takes back what was said before', async () => {
    const { wheels } = await bundleWith('--only-binary=:none:\nalpha\n', { sources: [{ name: 'alpha' }] })
    expect(wheels).toEqual(['alpha-1.0-py3-none-any.whl'])
  })

  it('is built too where "--no-binary" asks for it', async () => {
    const { news, wheels } = await bundleWith('--no-binary=alpha\nalpha\n', {
      wheels: [{ name: 'alpha' }],
      sources: [{ name: 'alpha' }],
    })
    expect(wheels).toEqual(['alpha-1.0-py3-none-any.whl'])
    expect(news).toContain('building the source of alpha')
  })

  it('may be an archive at an address', async () => {
    const index = await startIndex([], [{ name: 'alpha' }])
    const url = `${index.url.replace('/simple', '/files')}/alpha-1.0.tar.gz`
    expect((await makeBundle(writeApp({ requirements: `alpha @ ${url}\n` }))).wheels).toEqual([
      'alpha-1.0-py3-none-any.whl',
    ])
  })

  it('is refused with what fits and what fails, where its source cannot even be read', async () => {
    const index = await startIndex([{ name: 'app', requires: ['broken>=1'] }])
    vi.stubEnv('PIP_INDEX_URL', index.url)
    const folder = temporaryFolder()
    const top = join(folder, 'broken-1.0')
    mkdirSync(top)
    writeFileSync(join(top, 'pyproject.toml'), 'no toml at all')
    await execa('tar', ['-czf', join(index.folder, 'broken-1.0.tar.gz'), 'broken-1.0'], { cwd: folder })
    await expect(makeBundle(writeApp({ requirements: 'app\n' }), ...ARM)).rejects.toThrow(
      /^no wheel of broken>=1 fits aarch64.*, and its source cannot be used on this machine:\n[\s\S]*Ask for a version of broken/,
    )
  })

  it('is refused where it is in no index at all', async () => {
    await expect(bundleWith('nothing\n', { sources: [] })).rejects.toThrow(
      /No matching distribution found for nothing[\s\S]*neither a wheel of it fits nor is there a source/,
    )
  })

  it('is refused where its native code is for this machine only', async () => {
    const native = { name: 'native', tag: 'cp311-cp311-linux_x86_64', native: elfFile() }
    await expect(bundleWith('native\n', { sources: [native] }, ...ARM)).rejects.toThrow(
      /native 1.0 has to be built from the source of native, .*does not fit aarch64.*:\n- "native-1.0-.*" is for .*\n- its "native.so" is for x86_64, 64 bits\nAsk for/,
    )
  })
})

describe('native code that was built here', () => {
  const platform = ['ubuntu-22.04-x86_64', '3.11'] as const
  const native = (versions: string[], libraries = ['libc.so.6']): PackageOptions => ({
    name: 'native',
    tag: 'cp311-cp311-linux_x86_64',
    native: elfFile({ versions, libraries }),
  })

  it('is tagged with the oldest glibc that it runs on', async () => {
    const build = (versions: string[]) => bundleWith('native\n', { sources: [native(versions)] }, ...platform)
    expect((await build(['GLIBC_2.2.5', 'GLIBC_2.28'])).wheels).toEqual([
      'native-1.0-cp311-cp311-manylinux_2_28_x86_64.whl',
    ])
    expect((await build(['GLIBC_2.2.5'])).wheels).toEqual(['native-1.0-cp311-cp311-manylinux_2_5_x86_64.whl'])
  })

  it('is refused where the platform has an older glibc, and told of libraries that it has not', async () => {
    await expect(bundleWith('native\n', { sources: [native(['GLIBC_2.38'])] }, ...platform)).rejects.toThrow(
      'its "native.so" needs glibc 2.38',
    )
    const { news } = await bundleWith(
      'native\n',
      { sources: [native([], ['libc.so.6', 'libpq.so.5'])] },
      ...platform,
    )
    expect(news).toContain(
      'native-1.0-cp311-cp311-linux_x86_64.whl loads libpq.so.5, which must be on every target',
    )
  })

  it('is told of the libstdc++ that it needs, where that is newer than the platform promises', async () => {
    const newsOf = async (version: string) =>
      (await bundleWith('native\n', { sources: [native([version])] }, ...platform)).news.join('\n')
    expect(await newsOf('GLIBCXX_3.4.32')).toContain(
      'native-1.0-cp311-cp311-linux_x86_64.whl loads a libstdc++ that has GLIBCXX_3.4.32, which must be on every target',
    )
    expect(await newsOf('GLIBCXX_3.4.9')).not.toContain('libstdc++')
  })

  it('is refused for another Python', async () => {
    await expect(
      bundleWith('native\n', { sources: [native([])] }, 'ubuntu-22.04-x86_64', '3.12'),
    ).rejects.toThrow(/is for cp311-cp311-linux_x86_64, not for x86_64, glibc 2.35, Python 3.12/)
  })
})

describe('a wheel that somebody built and named', () => {
  const tag = 'cp311-cp311-linux_x86_64'
  const wheel = async (versions: string[]) => {
    const folder = writeApp({ requirements: `./native-1.0-${tag}.whl\n` })
    await writeWheel(folder, { name: 'native', tag, files: { 'native.so': elfFile({ versions }) } })
    return folder
  }

  it('is tagged with the oldest glibc that it runs on', async () => {
    const { wheels } = await makeBundle(await wheel(['GLIBC_2.28']), 'ubuntu-22.04-x86_64', '3.11')
    expect(wheels).toEqual(['native-1.0-cp311-cp311-manylinux_2_28_x86_64.whl'])
  })

  it('is refused where it was built for something else', async () => {
    const folder = await wheel(['GLIBC_2.38'])
    await expect(makeBundle(folder, 'ubuntu-22.04-x86_64', '3.11')).rejects.toThrow(
      `${join(folder, `native-1.0-${tag}.whl`)} does not fit x86_64, glibc 2.35, Python 3.11:\n- its "native.so" needs glibc 2.38\n`,
    )
  })
})

describe("pip's complaint", () => {
  it('tells what has no wheel', async () => {
    expect(unmatched('ERROR: No matching distribution found for foo[x]>=2 (from bar)')).toEqual(['foo[x]>=2'])
    expect(
      unmatched('The conflict is caused by:\n    a 1.0 depends on foo>=1\n    The user requested foo<3\n'),
    ).toEqual(['foo>=1,<3'])
    expect(unmatched('ERROR: no network')).toEqual([])
    expect((await findPython()).pip).toMatch(/pip/)
  })
})
