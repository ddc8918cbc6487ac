import { createReadStream, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { archiveRevision } from '../../lib/code/archive.ts'
import { checkCodeArchive } from '../../lib/code/check-archive.ts'
import { readRevision } from '../../lib/code/revision.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { Repository } from './repository.ts'

const APP = { 'pybundle.toml': 'app = "shop"\n', 'shop.py': 'print("shop")\n' }

async function archive(folder: string, { dirty = false, exclude = [] as string[] } = {}) {
  const revision = await readRevision(folder, { dirty })
  const file = join(temporaryFolder(), 'code.tar.gz')
  const configuration = join(folder, 'pybundle.toml')
  return { ...(await archiveRevision(revision, file, { exclude, configuration })), revision }
}

/** As tar shows it: mode, size and path of each member. */
async function members(file: string): Promise<string[]> {
  const { stdout } = await execa('tar', ['--numeric-owner', '--utc', '-tvzf', file], {
    env: { LC_ALL: 'C.UTF-8' },
  })
  return stdout.split('\n').map((line) => line.replace(/\s+/g, ' '))
}

async function unpack(file: string): Promise<string> {
  const folder = temporaryFolder()
  await execa('tar', ['-xzf', file, '-C', folder])
  return folder
}

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
  it('that is in no repository is refused, with what to do', async () => {
    await expect(readRevision(temporaryFolder())).rejects.toThrow(/is in no git repository.*git init/)
  })

  it('whose repository has no commit is refused', async () => {
    const repository = new Repository()
    await repository.git('init', '--quiet')
    await expect(readRevision(repository.folder)).rejects.toThrow(/has no commit yet/)
  })

  it('on a machine without git is refused', async () => {
    vi.stubEnv('PATH', temporaryFolder())
    await expect(readRevision(temporaryFolder())).rejects.toThrow(/^no git on this machine/)
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

describe('checking an uploaded archive', () => {
  it('passes what was archived here', async () => {
    const { folder } = await Repository.with(APP)
    const { file } = await archive(folder)
    await expect(checkCodeArchive(createReadStream(file), 'tar.gz')).resolves.toBeUndefined()
  })
})
