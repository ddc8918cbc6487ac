import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readRequirements } from '../../lib/bundle/inputs/requirements.ts'
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
      './vendor/a\n-e ./vendor/a[fast]\n--editable=vendor/a ; os_name == "posix"\nb @ file:vendor/b\nvendor/a\n-e "my lib"\n./c-1-py3-none-any.whl\n',
      { 'vendor/a/setup.py': '', 'vendor/b/setup.py': '', 'my lib/setup.py': '', 'c-1-py3-none-any.whl': '' },
    )
    expect(local).toEqual([
      { path: join(folder, 'vendor/a'), extras: '', marker: '' },
      { path: join(folder, 'vendor/a'), extras: '[fast]', marker: '' },
      { path: join(folder, 'vendor/a'), extras: '', marker: 'os_name == "posix"' },
      { path: join(folder, 'vendor/b'), extras: '', marker: '' },
      { path: join(folder, 'vendor/a'), extras: '', marker: '' },
      { path: join(folder, 'my lib'), extras: '', marker: '' },
      { path: join(folder, 'c-1-py3-none-any.whl'), extras: '', marker: '' },
    ])
  })

  it('may name archives and wheels by their addresses', () => {
    const hash = `--hash=sha256:${'a'.repeat(64)}`
    const wheel = 'https://example.com/Foo_Bar-1.0%2Bcpu-py3-none-any.whl#sha256=abc'
    const found = read(
      `${wheel}\nb[fast] @ https://example.com/b.tar.gz ; os_name == "posix" ${hash}\nhttps://example.com/tarball/main\ngit+https://me:p%zz@example.com/g.git#egg=g[x]\n`,
    )
    expect(found).toMatchObject({
      names: ['foo-bar'],
      lines: [wheel],
      remote: [
        { url: `https://example.com/b.tar.gz ${hash}`, extras: '[fast]', marker: 'os_name == "posix"' },
        { url: 'https://example.com/tarball/main' },
        { url: 'git+https://me:p%zz@example.com/g.git#egg=g[x]', extras: '[x]' },
      ],
    })
  })

  it('may have several options on a line, which keep their order', () => {
    const found = read(
      '-i https://a/simple --trusted-host a\n-fwheels\nflask\n--index-url=https://b/simple\n--no-binary=x --no-binary y\n',
    )
    expect(found.lines).toEqual([
      '-i https://a/simple',
      '--trusted-host a',
      `--find-links file://${found.folder}/wheels`,
      '--index-url=https://b/simple',
      'flask',
    ])
    expect(found.noBinary).toEqual(['x', 'y'])
  })

  it('may be UTF-16, as PowerShell writes it', () => {
    const folder = folderWith({})
    writeFileSync(join(folder, 'requirements.txt'), Buffer.from('\uFEFFflask==3\r\nclick\r\n', 'utf16le'))
    expect(readRequirements(folder, 'requirements.txt').lines).toEqual(['flask==3', 'click'])
  })

  it('goes on after a comment that ends in a backslash', () => {
    expect(read('flask\n# C:\\\nclick\n').names).toEqual(['flask', 'click'])
  })

  it('may constrain by a file that it includes too, by one in another, and by an address', () => {
    const { folder, ...found } = read('-c base.txt\n-rbase.txt\n-c https://example.com/limits.txt\n', {
      'base.txt': 'flask\n-c nested.txt\n',
      'nested.txt': '-c limits.txt\n',
      'limits.txt': 'click<9\n',
    })
    expect(found.names).toEqual(['flask'])
    expect(found.files.map((file) => file.slice(folder.length + 1))).toEqual([
      'requirements.txt',
      'base.txt',
      'nested.txt',
      'limits.txt',
    ])
    expect(found.lines).toContain('-c https://example.com/limits.txt')
  })

  it('may include others, each relative to the file that names it', () => {
    const { folder, ...found } = read('-r requirements/web.txt\n-c limits.txt\n', {
      'requirements/web.txt': '-r base.txt\nflask\n./local',
      'requirements/base.txt': 'click',
      'requirements/local/setup.py': '',
      'limits.txt': 'click<9',
    })
    expect(found.names).toEqual(['click', 'flask'])
    expect(found.lines).toEqual([`-c "${join(folder, 'limits.txt')}"`, 'click', 'flask'])
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

  it.each([
    ['git@github.com:me/x.git', 'is not a requirement; a repository is named by git+ssh://'],
    ['x @ ./vendor', 'is not a requirement'],
    ['file://elsewhere/x', 'there is no "file://elsewhere/x"'],
    ['file:///%zz', 'there is no "file:///%zz"'],
    ['flask\0', 'is not a text file'],
    ['./vendor --hash=sha256:00', '"./vendor" is a folder, which has no hash'],
    ['./vendor --config-settings a=b', '"--config-settings a=b" cannot be given to what is built here'],
    ['https://example.com/x.whl', '"x.whl" is not the name of a wheel'],
    ['-r https://example.com/x.txt', '"https://example.com/x.txt" is not read from the network'],
  ])('is refused in words: %s', (line, message) => {
    expect(() => read(line, { 'vendor/setup.py': '' })).toThrow(message)
  })

  it('is asked for where it is missing, and where it is empty', () => {
    const folder = folderWith({ 'empty.txt': '# nothing\n' })
    expect(mistakesOf(() => readRequirements(folder, 'requirements.txt'))[0]).toMatch(
      /^no requirements file /,
    )
    expect(mistakesOf(() => readRequirements(folder, 'empty.txt'))[0]).toMatch(/names no dependency/)
  })
})
