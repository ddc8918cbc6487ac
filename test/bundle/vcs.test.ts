import { execaSync } from 'execa'
import { describe, expect, it } from 'vitest'
import { parseVcs } from '../../lib/bundle/build/vcs.ts'
import { makeBundle, useLaptop, writeApp } from './laptop.ts'
import { gitRepository, hgRepository } from './repository.ts'

useLaptop()

const bundleOf = (requirements: string, ...platform: string[]) =>
  makeBundle(writeApp({ requirements }), ...platform)

describe('a dependency in a git repository', () => {
  it('is built into a wheel, and its commit is recorded', async () => {
    const { url, first } = await gitRepository({ name: 'alpha' })
    const { wheels, manifest } = await bundleOf(`alpha @ ${url}\n`)
    expect(wheels).toEqual(['alpha-1.0-py3-none-any.whl'])
    expect(manifest.roots).toEqual(['alpha'])
    expect(manifest.vcs).toEqual({ alpha: { vcs: 'git', url: url.slice(4), commit: first } })
  })

  it('is taken at a tag, a branch or a commit', async () => {
    const { url, first, commit, git } = await gitRepository({ name: 'alpha' })
    await git('tag', '-a', 'v1', '-m', 'one')
    await git('switch', '--quiet', '-c', 'feature/two')
    const second = await commit({ name: 'alpha', version: '2.0' })
    await git('switch', '--quiet', 'main')
    const recorded = async (revision: string) => {
      const { wheels, manifest } = await bundleOf(`${url}@${revision}#egg=alpha\n`)
      return [wheels[0]?.split('-')[1], manifest.vcs.alpha]
    }
    const address = { vcs: 'git', url: url.slice(4) }
    expect(await recorded('v1')).toEqual(['1.0', { ...address, requested: 'v1', commit: first }])
    expect(await recorded('feature/two')).toEqual([
      '2.0',
      { ...address, requested: 'feature/two', commit: second },
    ])
    expect(await recorded(second.slice(0, 10))).toMatchObject(['2.0', { commit: second }])
  })

  it('may be in a subdirectory, editable, with extras and a marker', async () => {
    const { url, first } = await gitRepository({ name: 'alpha' }, 'python/alpha')
    const absent = await gitRepository({ name: 'beta' })
    const { manifest } = await bundleOf(
      `-e ${url}#egg=alpha[fast]&subdirectory=python/alpha\nbeta @ ${absent.url} ; python_version < "3"\n`,
    )
    expect(manifest.vcs).toEqual({
      alpha: { vcs: 'git', url: url.slice(4), commit: first, subdirectory: 'python/alpha' },
    })
  })

  it('gives the same bundle again after the cache is gone', async () => {
    const { url } = await gitRepository({ name: 'alpha' })
    const folder = writeApp({ requirements: `alpha @ ${url}\n` })
    const first = await makeBundle(folder)
    expect((await makeBundle(folder)).isReused).toBe(true)
    expect((await makeBundle(writeApp({ requirements: `alpha  @ ${url}\n` }))).digest).toBe(first.digest)
  })

  it('is refused in words where there is no such revision, folder or repository', async () => {
    const { url, first, folder } = await gitRepository({ name: 'alpha' })
    await expect(bundleOf(`${url}@nope\n`)).rejects.toThrow(/^could not check out git\+file:.*@nope:\n.*nope/)
    await expect(bundleOf(`${url}#subdirectory=nope\n`)).rejects.toThrow(
      `git+file://${folder}: commit ${first} has no folder "nope"`,
    )
    await expect(bundleOf(`${url}#subdirectory=../..\n`)).rejects.toThrow(/has no folder/)
    await expect(bundleOf('git+file:///no/repository\n')).rejects.toThrow(/could not check out/)
  })

  it('is refused where what is built here does not fit there', async () => {
    const { url } = await gitRepository({ name: 'native', tag: 'cp311-cp311-linux_x86_64' })
    await expect(bundleOf(`${url}\n`, 'amazon-linux-2023-arm64', '3.11')).rejects.toThrow(
      /native 1.0 has to be built from git\+file:.*does not fit aarch64, glibc 2.34, Python 3.11:\n- "native-1.0-cp311-cp311-linux_x86_64.whl" is for .*\nAsk for a version of native/,
    )
  })
})

describe('a repository that the metadata of a package names', () => {
  it('is refused, where pip would save its source without a word', async () => {
    const { url } = await gitRepository({ name: 'beta' })
    const folder = writeApp({
      requirements: './vendor/alpha\n',
      vendor: [{ name: 'alpha', requires: [`beta @ ${url.replace('file://', 'file://localhost')}`] }],
    })
    await expect(makeBundle(folder, 'amazon-linux-2023-arm64', '3.11')).rejects.toThrow(
      /beta \(git\+file:.*\/beta\): another package names it by the address of its source/,
    )
  })
})

describe('a dependency in a Mercurial repository', () => {
  const hasHg = execaSync('hg', ['--version', '--quiet'], { reject: false }).exitCode === 0

  it.runIf(hasHg)('is built into a wheel, and its commit is recorded', async () => {
    const { url, first, commit, hg } = await hgRepository({ name: 'alpha' })
    await hg('tag', 'v1', '--user', 'Somebody')
    const second = await commit({ name: 'alpha', version: '2.0' })
    expect((await bundleOf(`alpha @ ${url}\n`)).manifest.vcs).toEqual({
      alpha: { vcs: 'hg', url: url.slice(3), commit: second },
    })
    const { wheels, manifest } = await bundleOf(`${url}@v1#egg=alpha\n`)
    expect(wheels).toEqual(['alpha-1.0-py3-none-any.whl'])
    expect(manifest.vcs.alpha).toMatchObject({ requested: 'v1', commit: first })
  })
})

describe('the address of a repository', () => {
  it.each([
    'svn+https://example.com/x',
    'git+ext::sh -c true',
    'git+https://example.com/x@--upload-pack=x',
    'git+git@github.com:x/y.git',
    'https://example.com/x.git',
  ])('is not: %s', (text) => expect(parseVcs(text)).toBeUndefined())
})
