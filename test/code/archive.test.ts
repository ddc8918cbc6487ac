import { createReadStream, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { checkCodeArchive } from '../../lib/code/check-archive.ts'
import { readRevision } from '../../lib/code/revision.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { APP, archive, members, pathsIn, unpack } from './archived.ts'
import { Repository } from './repository.ts'

describe('a code archive', () => {
  it('holds what is committed, with modes and links, and nothing of whoever made it', async () => {
    const { folder } = await Repository.with({ ...APP, 'bin/run': '#!/bin/sh\n', link: '-> bin/run' })
    const { file } = await archive(folder)
    expect(await members(file)).toEqual([
      '-rwxr-xr-x 0/0 10 2026-01-02 03:04 bin/run',
      'lrwxrwxrwx 0/0 0 2026-01-02 03:04 link -> bin/run',
      '-rw-r--r-- 0/0 13 2026-01-02 03:04 pybundle.toml',
      '-rw-r--r-- 0/0 14 2026-01-02 03:04 shop.py',
    ])
  })

  it('is the same bytes for the same files', async () => {
    const [one, two] = [await Repository.with(APP), await Repository.with(APP)]
    expect((await archive(one.folder)).digest).toBe((await archive(two.folder)).digest)
  })

  it('of an app in a subfolder holds that folder as its root, and stays the same when others change', async () => {
    const repository = await Repository.with({
      'apps/shop/pybundle.toml': APP['pybundle.toml'],
      'apps/shop/views/a.py': '',
      'README.md': '',
    })
    const folder = join(repository.folder, 'apps/shop')
    const before = await archive(folder)
    expect((await members(before.file)).map((line) => line.split(' ').at(-1))).toEqual([
      'pybundle.toml',
      'views/a.py',
    ])
    repository.write({ 'README.md': 'changed' })
    await repository.commit('2027-01-01T00:00:00Z')
    expect((await archive(folder)).digest).toBe(before.digest)
  })

  it.each([
    ['日本語/一覧.txt'],
    ['ünïcode 文 with space.txt'],
    ['quote"and\'s.txt'],
    [`${'long/'.repeat(40)}name.txt`],
  ])('keeps the name %s', async (name) => {
    const { folder } = await Repository.with({ ...APP, [name]: 'content' })
    const unpacked = await unpack((await archive(folder)).file)
    expect(readFileSync(join(unpacked, name), 'utf8')).toBe('content')
  })

  it('is refused with a name that would not arrive as it is', async () => {
    const { folder } = await Repository.with({ ...APP, 'back\\slash.txt': '' })
    await expect(archive(folder)).rejects.toThrow('the file name "back\\slash.txt" cannot be archived')
  })

  it('keeps bytes, empty files and many files as they are', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 300 }, (_, index) => [`many/${index}.txt`, `${index}\n`]),
    )
    const { folder } = await Repository.with({ ...APP, ...many, empty: '', 'no-newline': 'x\r\n\0y' })
    const unpacked = await unpack((await archive(folder)).file)
    expect((await execa('diff', ['-r', '--exclude=.git', folder, unpacked])).exitCode).toBe(0)
  })

  it('leaves out what the configuration excludes, but never the configuration', async () => {
    const { folder } = await Repository.with({ ...APP, 'tests/a.py': '', 'docs/b.md': '' })
    const { file } = await archive(folder, { exclude: ['/tests/', '*.md', '*.toml'] })
    expect((await members(file)).map((line) => line.split(' ').at(-1))).toEqual(['pybundle.toml', 'shop.py'])
  })

  it('is refused without the configuration that targets read', async () => {
    const repository = await Repository.with({ 'shop.py': '', '.gitignore': 'pybundle.toml' })
    repository.write(APP)
    await repository.git('checkout', '--quiet', '--', '.')
    await expect(archive(repository.folder, { dirty: true })).rejects.toThrow(
      /^pybundle.toml is not in revision/,
    )
  })
})

describe('uncommitted changes', () => {
  it('are refused by name', async () => {
    const repository = await Repository.with(APP)
    repository.write({ 'shop.py': 'changed', 'new.py': '' })
    await expect(readRevision(repository.folder)).rejects.toThrow(
      `uncommitted changes in ${repository.folder}:\n  shop.py\n  new.py\nCommit them, or publish the files as they are with --dirty.`,
    )
  })

  it('are taken on demand, and then the revision says so', async () => {
    const repository = await Repository.with({ ...APP, 'gone.py': '', '.gitignore': '*.log' })
    repository.write({ 'shop.py': 'changed', 'new.py': '#!new', 'x.log': '' })
    rmSync(join(repository.folder, 'gone.py'))
    const { file, revision } = await archive(repository.folder, { dirty: true })
    const unpacked = await unpack(file)
    expect(readFileSync(join(unpacked, 'shop.py'), 'utf8')).toBe('changed')
    expect((await members(file)).map((line) => `${line.slice(0, 10)} ${line.split(' ').at(-1)}`)).toEqual([
      '-rw-r--r-- .gitignore',
      '-rwxr-xr-x new.py',
      '-rw-r--r-- pybundle.toml',
      '-rw-r--r-- shop.py',
    ])
    expect(revision.name).toMatch(/^[0-9a-f]{12}-dirty$/)
  })

  it('elsewhere in the repository do not matter', async () => {
    const repository = await Repository.with({ 'shop/pybundle.toml': '' })
    repository.write({ 'other.txt': '' })
    const { name, isDirty } = await readRevision(join(repository.folder, 'shop'), { dirty: true })
    expect([isDirty, name]).toEqual([false, expect.not.stringContaining('dirty')])
  })
})

describe('a folder without a revision', () => {
  it('whose repository has no commit is refused', async () => {
    const repository = new Repository()
    await repository.git('init', '--quiet')
    await expect(readRevision(repository.folder)).rejects.toThrow(/has no commit yet/)
  })

  it('on a machine without git is refused', async () => {
    const { folder } = await Repository.with(APP)
    vi.stubEnv('PATH', temporaryFolder())
    await expect(readRevision(folder)).rejects.toThrow(/^no git on this machine/)
    vi.unstubAllEnvs()
  })

  it("is not found in another repository because of a hook's settings", async () => {
    const [app, other] = [await Repository.with(APP), await Repository.with({ 'x.py': '' })]
    vi.stubEnv('GIT_DIR', join(other.folder, '.git'))
    const { name } = await readRevision(app.folder)
    vi.unstubAllEnvs()
    expect(name).toBe((await app.git('rev-parse', '--short=12', 'HEAD')).stdout)
  })
})

describe('a revision', () => {
  it.each([['v1.0'], ['HEAD~1'], ['feature']])(
    'is found by the name %s, whatever is checked out or changed',
    async (name) => {
      const repository = await Repository.with(APP)
      const first = (await repository.git('rev-parse', '--short=12', 'HEAD')).stdout
      await repository.git('tag', 'v1.0')
      await repository.git('branch', 'feature')
      repository.write({ 'shop.py': 'new', 'draft.py': '' })
      await repository.commit()
      repository.write({ 'shop.py': 'not committed' })
      const { file, revision } = await archive(repository.folder, { revision: name })
      expect(revision).toMatchObject({ name: first, isDirty: false })
      expect(readFileSync(join(await unpack(file), 'shop.py'), 'utf8')).toBe(APP['shop.py'])
      expect(await pathsIn(file)).toEqual(['pybundle.toml', 'shop.py'])
    },
  )

  it.each([['v9'], ['--all'], ['HEAD:shop.py']])('that is not there is refused by name: %s', async (name) => {
    const { folder } = await Repository.with(APP)
    await expect(readRevision(folder, { revision: name })).rejects.toThrow(
      `"${name}" is no commit, tag or branch in the repository of ${folder}.`,
    )
  })

  it('is not what --dirty takes', async () => {
    const { folder } = await Repository.with(APP)
    await expect(readRevision(folder, { revision: 'main', dirty: true })).rejects.toThrow('give one of them')
  })
})

describe('submodules', () => {
  const addSubmodule = async () => {
    const [library, repository] = [await Repository.with({ 'lib.py': 'first' }), await Repository.with(APP)]
    const allow = ['-c', 'protocol.file.allow=always']
    await repository.git(...allow, 'submodule', '--quiet', 'add', library.folder, 'vendor/lib')
    await repository.commit()
    return repository
  }

  it('are archived at the commit that belongs to the revision', async () => {
    const repository = await addSubmodule()
    const { file } = await archive(repository.folder)
    expect(await pathsIn(file)).toEqual(['.gitmodules', 'pybundle.toml', 'shop.py', 'vendor/lib/lib.py'])
    expect(await pathsIn((await archive(repository.folder, { exclude: ['/vendor/'] })).file)).toHaveLength(3)
  })

  it('that are changed are uncommitted changes, and taken on demand', async () => {
    const repository = await addSubmodule()
    repository.write({ 'vendor/lib/lib.py': 'changed' })
    await expect(archive(repository.folder)).rejects.toThrow('\n  vendor/lib\n')
    const unpacked = await unpack((await archive(repository.folder, { dirty: true })).file)
    expect(readFileSync(join(unpacked, 'vendor/lib/lib.py'), 'utf8')).toBe('changed')
  })

  it('that are not checked out are refused, with what to do', async () => {
    const repository = await addSubmodule()
    await repository.git('submodule', '--quiet', 'deinit', '--all')
    await expect(archive(repository.folder)).rejects.toThrow(
      'the submodule "vendor/lib" is not checked out here: git submodule update --init',
    )
    expect(await pathsIn((await archive(repository.folder, { exclude: ['/vendor/'] })).file)).toHaveLength(3)
  })
})

describe('checking an uploaded archive', () => {
  it('passes what was archived here', async () => {
    const { folder } = await Repository.with(APP)
    const { file } = await archive(folder)
    await expect(checkCodeArchive(createReadStream(file), 'tar.gz')).resolves.toBeUndefined()
  })
})
