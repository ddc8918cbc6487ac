import { randomBytes } from 'node:crypto'
import {
  createReadStream,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it, vi } from 'vitest'
import { archiveRevision } from '../../lib/code/archive.ts'
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
    ['か\u3099 is not precomposed.txt'],
    [`${'long/'.repeat(40)}name.txt`],
  ])('keeps the name %s', async (name) => {
    const { folder } = await Repository.with({ ...APP, [name]: 'content' })
    const unpacked = await unpack((await archive(folder)).file)
    expect(readFileSync(join(unpacked, name), 'utf8')).toBe('content')
  })

  it('is refused with names and links that would not arrive as they are, all at once', async () => {
    const { folder } = await Repository.with({
      ...APP,
      'README.md': '',
      'back\\slash.txt': '',
      'new\nline': '',
      'link/out': '-> ../../other/file',
      'readme.md': '',
    })
    const { name } = await readRevision(folder)
    await expect(archive(folder)).rejects.toThrow(
      `revision ${name} cannot be archived as it is:
  "back\\\\slash.txt" has a backslash, which is a folder on some systems
  "link/out" links out of the archive, to "../../other/file"
  "new\\nline" has a control character
  "readme.md" and "README.md" are one file where case does not count
Mend that, or leave it out with "exclude" in pybundle.toml.`,
    )
    const exclude = ['back*', 'link', 'new*', 'readme.md']
    expect(await pathsIn((await archive(folder, { exclude })).file)).toEqual([
      'README.md',
      'pybundle.toml',
      'shop.py',
    ])
  })

  it.each([['c:drive.txt'], ['http:/x']])('is refused with %s, which archiver would rename', async (name) => {
    const { folder } = await Repository.with({ ...APP, [name]: '' })
    await expect(archive(folder)).rejects.toThrow(`"${name}"`)
  })

  it('is refused with a name that is not UTF-8, committed or not', async () => {
    const repository = await Repository.with(APP)
    writeFileSync(Buffer.concat([Buffer.from(`${repository.folder}/caf`), Buffer.from([0xe9])]), '')
    const told = 'the file name "caf\uFFFD" is not UTF-8: rename it'
    await expect(archive(repository.folder, { dirty: true })).rejects.toThrow(told)
    await repository.commit()
    await expect(archive(repository.folder)).rejects.toThrow(told)
    expect(await pathsIn((await archive(repository.folder, { exclude: ['caf*'] })).file)).toHaveLength(2)
  })

  it('keeps a long link as it is, and refuses one that is not UTF-8', async () => {
    const long = `${'folder/'.repeat(30)}file`
    const repository = await Repository.with({ ...APP, link: `-> ${long}` })
    const unpacked = await unpack((await archive(repository.folder)).file)
    expect(readlinkSync(join(unpacked, 'link'))).toBe(long)
    symlinkSync(Buffer.from([0xe9]), join(repository.folder, 'other'))
    await repository.commit()
    await expect(archive(repository.folder)).rejects.toThrow('"other" links to a name that is not UTF-8')
  })

  it('is the same bytes whatever the umask, the time zone, the language and the times of the files', async () => {
    const repository = await Repository.with({ ...APP, 'bin/run': '#!/bin/sh\n', '日本語.txt': '' })
    const { digest } = await archive(repository.folder)
    const umask = process.umask(0o077)
    vi.stubEnv('TZ', 'Asia/Tokyo')
    vi.stubEnv('LC_ALL', 'ja_JP.eucJP')
    const clone = await repository.clone()
    const other = await archive(clone.folder)
    process.umask(umask)
    vi.unstubAllEnvs()
    expect(other.digest).toBe(digest)
  })

  it('is as large as it needs to be', async () => {
    const files = ['a', 'b', 'c'].map((name) => [name, 'x'.repeat(45_000_000)])
    const { folder } = await Repository.with({ ...APP, ...Object.fromEntries(files) })
    expect((await members((await archive(folder)).file)).slice(0, 3)).toEqual([
      expect.stringContaining(' 45000000 '),
      expect.stringContaining(' 45000000 '),
      expect.stringContaining(' 45000000 '),
    ])
  })

  it('says where there is no space for it', async () => {
    const { folder } = await Repository.with({ ...APP, large: randomBytes(300_000).toString('base64') })
    const output = temporaryFolder()
    symlinkSync('/dev/full', join(output, 'code.tar.gz.part'))
    const writing = archiveRevision(await readRevision(folder), join(output, 'code.tar.gz'), {
      exclude: [],
      configuration: 'pybundle.toml',
    })
    await expect(writing).rejects.toThrow(`no space for the code archive in ${output}: make room there`)
    expect(readdirSync(output)).toEqual([])
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
    const { file } = await archive(folder, { exclude: ['/tests/', '*.md', '*.toml', 'SHOP.PY'] })
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

describe('a repository', () => {
  it('that lacks an object is refused, with the name of the file', async () => {
    const repository = await Repository.with({ ...APP, 'a.py': 'a', 'z.py': 'z' })
    const object = (await repository.git('rev-parse', 'HEAD:a.py')).stdout
    rmSync(join(repository.folder, '.git/objects', object.slice(0, 2), object.slice(2)))
    await expect(archive(repository.folder)).rejects.toThrow(
      `git cannot read "a.py" of this revision (${object} missing): git fsck tells more.`,
    )
  })

  it('is found above the folder that a link leads to', async () => {
    const { folder } = await Repository.with({ 'apps/shop/pybundle.toml': '' })
    const link = join(temporaryFolder(), 'link')
    symlinkSync(join(folder, 'apps/shop'), link)
    expect((await archive(link)).revision.name).toMatch(/^[0-9a-f]{12}$/)
  })

  it('gives the same from a worktree of its, with nothing checked out by name, and from a shallow clone', async () => {
    const repository = await Repository.with(APP)
    const { digest } = await archive(repository.folder)
    const worktree = join(temporaryFolder(), 'worktree')
    await repository.git('worktree', 'add', '--quiet', '--detach', worktree)
    expect((await archive(worktree)).digest).toBe(digest)
    expect((await archive((await repository.clone('--depth=1')).folder)).digest).toBe(digest)
  })

  it("is read as it is, whatever the user's settings say about output", async () => {
    const repository = await Repository.with({ ...APP, '日本語.txt': '' })
    const { digest } = await archive(repository.folder)
    for (const [key, value] of [
      ['core.quotePath', 'true'],
      ['core.autocrlf', 'true'],
      ['color.ui', 'always'],
      ['diff.noprefix', 'true'],
      ['diff.relative', 'true'],
      ['log.showSignature', 'true'],
      ['status.showUntrackedFiles', 'no'],
    ] as const) {
      await repository.git('config', key, value)
    }
    expect((await archive(repository.folder)).digest).toBe(digest)
    repository.write({ 'new.txt': '' })
    await expect(archive(repository.folder)).rejects.toThrow('\n  new.txt\n')
  })

  it('within, of another kind, is archived without its history', async () => {
    const repository = await Repository.with(APP)
    repository.write({ 'lib/.hg/hgrc': 'password', 'lib/lib.py': '' })
    const { file } = await archive(repository.folder, { dirty: true })
    expect(await pathsIn(file)).toEqual(['lib/lib.py', 'pybundle.toml', 'shop.py'])
  })

  it('holds all that is committed, also what .gitattributes leaves out of archives for others', async () => {
    const { folder } = await Repository.with({
      ...APP,
      '.gitattributes': 'tests export-ignore\n',
      'tests/a.py': '',
    })
    expect(await pathsIn((await archive(folder)).file)).toContain('tests/a.py')
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
      `"${name}" is no commit, tag or branch in the repository of ${folder}: git fetch --tags gets what is not here yet`,
    )
  })

  it('is found by the beginning of its commit, while that is the beginning of no other', async () => {
    const repository = await Repository.with(APP)
    await repository.addHistory(1000)
    const commits = (await repository.git('rev-list', '--all')).stdout.split('\n')
    const [newest = ''] = commits
    const { name } = await readRevision(repository.folder, { revision: newest.slice(0, 10) })
    expect(name).toBe(newest.slice(0, 12))
    const beginnings = commits.map((commit) => commit.slice(0, 4))
    const shared = beginnings.find((each, index) => beginnings.indexOf(each) !== index)
    await expect(readRevision(repository.folder, { revision: shared })).rejects.toThrow(
      `"${shared}" is the beginning of several commits in the repository of ${repository.folder}: give more of it.`,
    )
  })

  it('is not told to be absent where git itself fails', async () => {
    const { folder } = await Repository.with(APP)
    vi.stubEnv('PATH', temporaryFolder())
    await expect(readRevision(folder, { revision: 'main' })).rejects.toThrow(/^no git on this machine/)
    vi.unstubAllEnvs()
    vi.stubEnv('GIT_TEST_ASSUME_DIFFERENT_OWNER', '1')
    await expect(readRevision(folder, { revision: 'main' })).rejects.toThrow(/safe\.directory/)
    vi.unstubAllEnvs()
  })

  it('is not what --dirty takes', async () => {
    const { folder } = await Repository.with(APP)
    await expect(readRevision(folder, { revision: 'main', dirty: true })).rejects.toThrow('give one of them')
  })
})

describe('submodules', () => {
  const addSubmodule = async () => {
    const repository = await Repository.with(APP)
    await repository.addSubmodule(await Repository.with({ 'lib.py': 'first' }), 'vendor/lib')
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
      `the submodule ${repository.folder}/vendor/lib is not checked out: git submodule update --init --recursive`,
    )
    expect(await pathsIn((await archive(repository.folder, { exclude: ['/vendor/'] })).file)).toHaveLength(3)
  })
})

describe('submodules of submodules', () => {
  it('are archived at their commits; one that was not fetched is refused by its name', async () => {
    const [inner, library] = [await Repository.with({ 'in.py': '' }), await Repository.with({ 'lib.py': '' })]
    const repository = await Repository.with(APP)
    await library.addSubmodule(inner, 'inner')
    await repository.addSubmodule(library, 'lib')
    await repository.git(...Repository.LOCAL, 'submodule', '--quiet', 'update', '--init', '--recursive')
    expect(await pathsIn((await archive(repository.folder)).file)).toContain('lib/inner/in.py')
    inner.write({ 'in.py': 'new' })
    const commit = await inner.commit()
    await library.git('-C', 'inner', ...Repository.LOCAL, 'pull', '--quiet')
    await library.commit()
    await repository.git('-C', 'lib', ...Repository.LOCAL, 'fetch', '--quiet', '--no-recurse-submodules')
    await repository.git('-C', 'lib', 'checkout', '--quiet', 'origin/main')
    await repository.commit()
    await expect(archive(repository.folder, { revision: 'main' })).rejects.toThrow(
      `the submodule ${repository.folder}/lib/inner does not have commit ${commit}: git -C ${repository.folder}/lib/inner fetch`,
    )
  })
})

describe('checking an uploaded archive', () => {
  it('passes what was archived here', async () => {
    const { folder } = await Repository.with(APP)
    const { file } = await archive(folder)
    await expect(checkCodeArchive(createReadStream(file), 'tar.gz')).resolves.toBeUndefined()
  })
})
