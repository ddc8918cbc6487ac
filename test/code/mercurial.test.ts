import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { readRevision } from '../../lib/code/revision.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { APP, archive, members, pathsIn, unpack } from './archived.ts'
import { HgRepository } from './hg-repository.ts'

const hasHg = (await execa('hg', ['--version'], { reject: false })).exitCode === 0
if (!hasHg)
  console.error('NOT TESTED: code archives of Mercurial repositories, as there is no hg on the PATH.')

describe.runIf(hasHg)('a code archive of a Mercurial repository', () => {
  it('holds what is committed, with modes and links, and nothing of whoever made it', async () => {
    const { folder } = await HgRepository.with({ ...APP, 'bin/run': '#!/bin/sh\n', link: '-> bin/run' })
    expect(await members((await archive(folder)).file)).toEqual([
      '-rwxr-xr-x 0/0 10 2026-01-02 03:04 bin/run',
      'lrwxrwxrwx 0/0 0 2026-01-02 03:04 link -> bin/run',
      '-rw-r--r-- 0/0 13 2026-01-02 03:04 pybundle.toml',
      '-rw-r--r-- 0/0 14 2026-01-02 03:04 shop.py',
    ])
  })

  it('is the same bytes for the same files, and named by the commit', async () => {
    const [one, two] = [await HgRepository.with(APP), await HgRepository.with(APP)]
    const [first, second] = [await archive(one.folder), await archive(two.folder)]
    expect(first.digest).toBe(second.digest)
    expect(first.revision.name).toBe((await one.hg('log', '--rev=.', '--template={node|short}')).stdout)
  })

  it('of an app in a subfolder holds that folder as its root, and stays the same when others change', async () => {
    const repository = await HgRepository.with({
      'apps/shop/pybundle.toml': APP['pybundle.toml'],
      'apps/shop/views/a.py': '',
      'README.md': '',
    })
    const folder = join(repository.folder, 'apps/shop')
    const before = await archive(folder)
    expect(await pathsIn(before.file)).toEqual(['pybundle.toml', 'views/a.py'])
    repository.write({ 'README.md': 'changed' })
    await repository.commit('2027-01-01 00:00:00 +0000')
    expect((await archive(folder)).digest).toBe(before.digest)
  })

  it.each([['日本語/一覧.txt'], ['ünïcode 文 with space.txt'], ['quote"and\'s.txt']])(
    'keeps the name %s',
    async (name) => {
      const repository = await HgRepository.with({ ...APP, [name]: 'content' })
      const unpacked = await unpack((await archive(repository.folder)).file)
      expect(readFileSync(join(unpacked, name), 'utf8')).toBe('content')
      repository.write({ [name]: 'changed' })
      const changed = await unpack((await archive(repository.folder, { dirty: true })).file)
      expect(readFileSync(join(changed, name), 'utf8')).toBe('changed')
    },
  )

  it('holds its subrepositories', async () => {
    const repository = new HgRepository()
    await repository.hg('init')
    mkdirSync(join(repository.folder, 'vendor'))
    await HgRepository.with({ 'lib.py': 'lib' }, join(repository.folder, 'vendor'))
    repository.write({ ...APP, '.hgsub': 'vendor = vendor\n' })
    await repository.commit()
    expect(await pathsIn((await archive(repository.folder)).file)).toContain('vendor/lib.py')
    repository.write({ 'vendor/lib.py': 'changed' })
    await expect(archive(repository.folder)).rejects.toThrow(/uncommitted changes in .*\n {2}vendor\/lib.py/)
    const unpacked = await unpack((await archive(repository.folder, { dirty: true })).file)
    expect(readFileSync(join(unpacked, 'vendor/lib.py'), 'utf8')).toBe('changed')
  })
})

describe.runIf(hasHg)('a Mercurial repository', () => {
  it('is refused with a name that is not UTF-8, committed or not', async () => {
    const repository = await HgRepository.with(APP)
    writeFileSync(Buffer.concat([Buffer.from(`${repository.folder}/caf`), Buffer.from([0xe9])]), '')
    const told = 'the file name "caf\uFFFD" is not UTF-8: rename it'
    await expect(archive(repository.folder, { dirty: true })).rejects.toThrow(told)
    await repository.commit()
    await expect(archive(repository.folder)).rejects.toThrow(told)
  })

  it('gives the same from a clone that numbers its revisions in another order', async () => {
    const repository = await HgRepository.with(APP)
    repository.write({ 'a.py': '' })
    const older = await repository.commit('2026-01-03 00:00:00 +0000')
    await repository.hg('update', '--quiet', '0')
    repository.write({ 'b.py': '' })
    const newer = await repository.commit('2026-01-04 00:00:00 +0000')
    await repository.hg('merge', '--quiet')
    await repository.hg('commit', '--message', 'x', '--date', '2026-01-05 00:00:00 +0000')
    const clone = new HgRepository()
    await clone.hg('init')
    for (const commit of [newer, older, 'tip']) await clone.hg('pull', '--rev', commit, repository.folder)
    await clone.hg('update', '--quiet', 'tip')
    expect((await archive(clone.folder)).digest).toBe((await archive(repository.folder)).digest)
  })

  it('leaves the history of another repository within out', async () => {
    const repository = await HgRepository.with(APP)
    repository.write({ 'lib/.git/config': 'password', 'lib/lib.py': '' })
    const { file } = await archive(repository.folder, { dirty: true })
    expect(await pathsIn(file)).toEqual(['lib/lib.py', 'pybundle.toml', 'shop.py'])
  })
})

describe.runIf(hasHg)('a revision of Mercurial', () => {
  it.each([['first'], ['0'], ['ancestor(first, tip)']])('is found by the name %s', async (name) => {
    const repository = await HgRepository.with(APP)
    await repository.hg('bookmark', 'first', '--inactive')
    const first = (await repository.hg('log', '--rev=.', '--template={node|short}')).stdout
    repository.write({ 'shop.py': 'new', 'draft.py': '' })
    await repository.commit()
    repository.write({ 'shop.py': 'not committed' })
    const { file, revision } = await archive(repository.folder, { revision: name })
    expect(revision.name).toBe(first)
    expect(await pathsIn(file)).toEqual(['pybundle.toml', 'shop.py'])
    expect(readFileSync(join(await unpack(file), 'shop.py'), 'utf8')).toBe(APP['shop.py'])
  })

  it('that is not there is refused by name', async () => {
    const { folder } = await HgRepository.with(APP)
    const what = /^"v9" is no commit, tag, branch or bookmark in the repository of .*: hg pull gets/
    await expect(readRevision(folder, { revision: 'v9' })).rejects.toThrow(what)
  })

  it('is found by the beginning of its commit, while that is the beginning of no other', async () => {
    const repository = await HgRepository.with(APP)
    await repository.hg(
      'debugbuilddag',
      '--quiet',
      '+60',
      '--config=ui.allowemptycommit=1',
      '--from-existing',
    )
    const commits = (await repository.hg('log', '--template={node}\n')).stdout.split('\n')
    const beginnings = commits.map((commit) => commit.slice(0, 2))
    const shared = beginnings.find((each, index) => /[a-f]/.test(each) && beginnings.indexOf(each) !== index)
    await expect(readRevision(repository.folder, { revision: shared })).rejects.toThrow(
      `"${shared}" is the beginning of several commits`,
    )
    const [newest = ''] = commits
    const { name } = await readRevision(repository.folder, { revision: newest.slice(0, 9) })
    expect(name).toBe(newest.slice(0, 12))
  })

  it('without the app is refused', async () => {
    const repository = await HgRepository.with({ 'README.md': '' })
    repository.write({ 'a [b] (1)/pybundle.toml': '' })
    await repository.commit()
    const folder = join(repository.folder, 'a [b] (1)')
    await expect(archive(folder, { revision: '0' })).rejects.toThrow(/^pybundle.toml is not in revision/)
    expect(await pathsIn((await archive(folder)).file)).toEqual(['pybundle.toml'])
  })

  it('that is several is refused', async () => {
    const repository = await HgRepository.with(APP)
    repository.write({ 'new.py': '' })
    await repository.commit()
    await expect(readRevision(repository.folder, { revision: 'all()' })).rejects.toThrow('names 2 commits')
  })

  it('does not hold what is not committed, which is refused, or taken on demand and marked', async () => {
    const repository = await HgRepository.with({
      ...APP,
      'gone.py': '',
      '.hgignore': 'syntax: glob\n*.log\n',
    })
    repository.write({ 'shop.py': 'changed', 'new.py': '#!new', 'x.log': '' })
    rmSync(join(repository.folder, 'gone.py'))
    await expect(readRevision(repository.folder)).rejects.toThrow(
      `uncommitted changes in ${repository.folder}:\n  shop.py\n  gone.py\n  new.py\nCommit them`,
    )
    const { file, revision } = await archive(repository.folder, { dirty: true })
    expect(revision.name).toMatch(/^[0-9a-f]{12}-dirty$/)
    expect(await pathsIn(file)).toEqual(['.hgignore', 'new.py', 'pybundle.toml', 'shop.py'])
    expect(readFileSync(join(await unpack(file), 'shop.py'), 'utf8')).toBe('changed')
  })

  it('of a repository without a commit is refused', async () => {
    const repository = new HgRepository()
    await repository.hg('init')
    await expect(readRevision(repository.folder)).rejects.toThrow(/has no commit checked out/)
  })
})

it('a Mercurial repository on a machine without hg is refused', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, '.hg'))
  vi.stubEnv('PATH', temporaryFolder())
  await expect(readRevision(folder)).rejects.toThrow(/^no hg on this machine: install Mercurial/)
  vi.unstubAllEnvs()
})
