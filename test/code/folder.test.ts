import { chmodSync, cpSync, mkdirSync, readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { refuseUnreadable } from '../../lib/code/code-file.ts'
import { parseHgignore } from '../../lib/code/hgignore.ts'
import { readRevision } from '../../lib/code/revision.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { APP, archive, members, pathsIn, unpack } from './archived.ts'
import { writeFiles } from './files.ts'

/** In no repository, with all files of one time. */
function plainFolder(files: Record<string, string>): string {
  const folder = temporaryFolder()
  writeFiles(folder, { ...APP, ...files })
  const time = new Date('2026-01-02T03:04:05.678Z')
  for (const path of Object.keys({ ...APP, ...files })) {
    if (!files[path]?.startsWith('->')) utimesSync(join(folder, path), time, time)
  }
  return folder
}

describe('a code archive of a folder in no repository', () => {
  it('holds its files, with modes and links, named and dated by the newest', async () => {
    const folder = plainFolder({ 'bin/run': '#!/bin/sh\n', '日本語/一覧.txt': 'content' })
    const { file, revision } = await archive(folder)
    expect(revision).toMatchObject({ name: 'files-20260102T030405Z', isDirty: false })
    expect(await members(file)).toEqual([
      '-rwxr-xr-x 0/0 10 2026-01-02 03:04 bin/run',
      '-rw-r--r-- 0/0 13 2026-01-02 03:04 pybundle.toml',
      '-rw-r--r-- 0/0 14 2026-01-02 03:04 shop.py',
      expect.stringMatching(/^-rw-r--r-- 0\/0 7 2026-01-02 03:04 /),
    ])
    expect(readFileSync(join(await unpack(file), '日本語/一覧.txt'), 'utf8')).toBe('content')
  })

  it('keeps links', async () => {
    const folder = plainFolder({ 'a.txt': 'a', 'views/link': '-> ../a.txt' })
    const unpacked = await unpack((await archive(folder)).file)
    expect((await execa('readlink', [join(unpacked, 'views/link')])).stdout).toBe('../a.txt')
  })

  it('is the same bytes for a copy of the folder', async () => {
    const folder = plainFolder({ 'views/a.py': '' })
    const copy = join(temporaryFolder(), 'copy')
    cpSync(folder, copy, { recursive: true, preserveTimestamps: true })
    expect((await archive(copy)).digest).toBe((await archive(folder)).digest)
  })

  it('leaves out what its ignore files and the configuration say', async () => {
    const folder = plainFolder({
      '.gitignore': '*.log\n/build/\n',
      '.hgignore': 'syntax: glob\n*.tmp\nsyntax: regexp\n^cache/\n',
      'a.log': '',
      'build/a.py': '',
      'cache/x.py': '',
      'docs/a.md': '',
      'views/.gitignore': '!kept.log\n*.py\n',
      'views/a.py': '',
      'views/build/kept.txt': '',
      'views/kept.log': '',
      'views/x.tmp': '',
    })
    expect(await pathsIn((await archive(folder, { exclude: ['/docs/'] })).file)).toEqual([
      '.gitignore',
      '.hgignore',
      'pybundle.toml',
      'shop.py',
      'views/.gitignore',
      'views/build/kept.txt',
      'views/kept.log',
    ])
  })

  it('leaves out what no repository would hold', async () => {
    const folder = plainFolder({
      '__pycache__/shop.pyc': '',
      'venv/pyvenv.cfg': '',
      'venv/bin/python': '',
      'views/.svn/entries': '',
      'lib/.git/config': 'url = https://user:password@example.com',
      'lib/.hg/hgrc': '',
      'other/.git': 'gitdir: elsewhere',
    })
    expect(await pathsIn((await archive(folder)).file)).toEqual(['pybundle.toml', 'shop.py'])
  })

  it.each([['/etc/passwd'], ['../outside']])('is refused with a link to %s', async (target) => {
    const folder = plainFolder({ 'views/a.py': '', link: `-> ${target}` })
    await expect(archive(folder)).rejects.toThrow(/"link"/)
  })

  it('is refused with a pipe in it, until that is excluded', async () => {
    const folder = plainFolder({})
    await execa('mkfifo', [join(folder, 'control')])
    await expect(archive(folder)).rejects.toThrow('"control" is a socket, a pipe or a device')
    expect(await pathsIn((await archive(folder, { exclude: ['control'] })).file)).not.toContain('control')
  })

  it('is refused with what its reader may not read', async () => {
    const folder = plainFolder({ 'private/a.py': '', 'secret.txt': '' })
    // As anybody but root would be told.
    const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' })
    expect(() => refuseUnreadable('secret.txt', denied)).toThrow(
      '"secret.txt" may not be read by you: mend that, or name it in "exclude".',
    )
    if (process.getuid?.() === 0) return
    chmodSync(join(folder, 'secret.txt'), 0)
    await expect(archive(folder)).rejects.toThrow('"secret.txt" may not be read by you')
    chmodSync(join(folder, 'private'), 0)
    await expect(archive(folder)).rejects.toThrow('"private/" may not be read by you')
    chmodSync(join(folder, 'private'), 0o700)
  })

  it('is refused with a folder whose name is not UTF-8', async () => {
    const folder = plainFolder({})
    mkdirSync(Buffer.concat([Buffer.from(`${folder}/caf`), Buffer.from([0xe9])]))
    await expect(archive(folder)).rejects.toThrow('the file name "caf\uFFFD/" is not UTF-8')
  })

  it('is refused with a pointer in place of a file', async () => {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 9\n`
    await expect(archive(plainFolder({ 'model.bin': pointer }))).rejects.toThrow(
      '"model.bin" is a pointer of Git LFS, not the file itself',
    )
  })

  it('has no revisions', async () => {
    const folder = plainFolder({})
    mkdirSync(join(folder, 'empty'))
    await expect(readRevision(folder, { revision: 'v1' })).rejects.toThrow(
      `${folder} is in no git or Mercurial repository, so there is no revision "v1".`,
    )
  })
})

describe('a .hgignore', () => {
  it.each([
    ['\\.pyc$', 'views/a.pyc', true],
    ['^build/', 'views/build/a', false],
    ['syntax: glob\n*.py[co]', 'views/a.pyo', true],
    ['syntax: glob\n*.py', 'views/a.pyc', false],
    ['syntax: glob\nbuild', 'views/build/a', true],
    ['syntax: glob\nviews/*.tmp', 'deep/views/x.tmp', true],
    ['syntax: glob\nviews/*.tmp', 'views/deep/x.tmp', false],
    ['syntax: glob\nviews/**.tmp', 'views/deep/x.tmp', true],
    ['syntax: glob\n*.{log,tmp}', 'a.tmp', true],
    ['syntax: glob\n*,cover', 'a.py', false],
    ['syntax: glob\n*,cover', 'views/a.py,cover', true],
    ['syntax: glob\na{b,c}d,e', 'acd,e', true],
    ['syntax: glob\nbuild/', 'views/build/a', true],
    ['syntax: glob\n./a', 'a', true],
    ['syntax: glob\n[]x]*', ']a', true],
    ['syntax: glob\n[!a]', 'b', true],
    ['syntax: glob\na]b', 'a]b', true],
    ['syntax: rootglob\n*.log', 'views/a.log', false],
    ['syntax: rootglob\n*.log', 'a.log', true],
    ['glob:*.log', 'views/a.log', true],
    ['# a comment\n\nsyntax: glob\na\\#b # another', 'a#b', true],
  ])('%j: %s', (text, path, isIgnored) => {
    expect(parseHgignore(text, '.hgignore')(path)).toBe(isIgnored)
  })

  it('that cannot be read is refused by its line', () => {
    expect(() => parseHgignore('a\n(', '.hgignore')).toThrow(/^.hgignore, line 2: the pattern cannot be read/)
    expect(() => parseHgignore('syntax: shell', '.hgignore')).toThrow(
      /^.hgignore, line 1: "shell" is no syntax/,
    )
    expect(() => parseHgignore('subinclude:lib/.hgignore', '.hgignore')).toThrow(/"subinclude" is no syntax/)
  })
})
