import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readRequirements } from '../../lib/bundle/requirements.ts'
import { mistakesOf } from '../config/mistakes-of.ts'
import { temporaryFolder } from './temporary-folder.ts'

function folderWith(files: Record<string, string>): string {
  const folder = temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

const read = (text: string, more: Record<string, string> = {}) => {
  const folder = folderWith({ 'requirements.txt': text, ...more })
  return { folder, ...readRequirements(folder, 'requirements.txt') }
}

describe('a requirements file', () => {
  it('may hold comments, continued lines, extras, markers and hashes', () => {
    const text = [
      '# comment',
      'flask[async]>=3 ; python_version > "3.8"  # why',
      'click==8.1.7 \\',
      `    --hash=sha256:${'a'.repeat(64)}`,
      '',
      'zope.interface',
    ].join('\r\n')
    expect(read(text)).toMatchObject({
      names: ['flask', 'click', 'zope.interface'],
      lines: [
        'flask[async]>=3 ; python_version > "3.8"',
        `click==8.1.7     --hash=sha256:${'a'.repeat(64)}`,
        'zope.interface',
      ],
      local: [],
    })
  })

  it('may name local sources in each of the ways that pip knows', () => {
    const { folder, local } = read(
      './vendor/a\n-e ./vendor/a[fast]\n--editable=vendor/a ; os_name == "posix"\nb @ file:///b\n./c-1-py3-none-any.whl\n',
      { 'vendor/a/setup.py': '', 'c-1-py3-none-any.whl': '' },
    )
    expect(local).toEqual([
      { path: join(folder, 'vendor/a'), extras: '', marker: '' },
      { path: join(folder, 'vendor/a'), extras: '[fast]', marker: '' },
      { path: join(folder, 'vendor/a'), extras: '', marker: 'os_name == "posix"' },
      { path: '/b', extras: '', marker: '' },
      { path: join(folder, 'c-1-py3-none-any.whl'), extras: '', marker: '' },
    ])
  })

  it('may include others, each relative to the file that names it', () => {
    const { folder, ...found } = read('-r requirements/web.txt\n-c limits.txt\n', {
      'requirements/web.txt': '-r base.txt\nflask\n./local',
      'requirements/base.txt': 'click',
      'requirements/local/setup.py': '',
      'limits.txt': 'click<9',
    })
    expect(found.names).toEqual(['click', 'flask'])
    expect(found.lines).toEqual([`-c ${join(folder, 'limits.txt')}`, 'click', 'flask'])
    expect(found.local).toMatchObject([{ path: join(folder, 'requirements/local') }])
    expect(found.files).toHaveLength(4)
  })

  it('reports every line that cannot be used, with its file and number', () => {
    const folder = folderWith({
      'requirements.txt': 'flask\n-r more.txt\n./nowhere\n-r absent.txt\n',
      'more.txt': '\n== 3\nsvn+https://me:secret@example.com/x\n',
    })
    expect(mistakesOf(() => readRequirements(folder, 'requirements.txt'))).toEqual([
      'more.txt:2: "== 3" is not a requirement',
      expect.stringMatching(
        /^more.txt:3: "svn\+https:\/\/\*{4}@example.com\/x": only git and hg are checked out/,
      ),
      'requirements.txt:3: there is no "./nowhere"',
      `no requirements file ${join(folder, 'absent.txt')} (named in requirements.txt:4)`,
    ])
  })

  it('is asked for where it is missing, and where it is empty', () => {
    const folder = folderWith({ 'empty.txt': '# nothing\n' })
    expect(mistakesOf(() => readRequirements(folder, 'requirements.txt'))[0]).toMatch(
      /^no requirements file /,
    )
    expect(mistakesOf(() => readRequirements(folder, 'empty.txt'))[0]).toMatch(/names no dependency/)
  })
})
