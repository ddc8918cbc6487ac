import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { ZipArchive } from 'archiver'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Entry, tarGz } from './artifacts.ts'
import type { TestTarget } from './target.ts'
import { project, Workshop } from './workshop.ts'

let workshop: Workshop
let target: TestTarget
beforeAll(async () => {
  workshop = await Workshop.open('archive')
  target = await workshop.newTarget()
  writeFileSync(join(workshop.folder, 'outside'), 'untouched')
})
afterAll(() => workshop.close())

const PYPROJECT: Entry = { name: 'pyproject.toml', content: project() }

async function prepare(code: Buffer) {
  const release = await workshop.publish({}, { code, wheels: [] })
  return { release, ...(await target.run('prepare', release)) }
}

describe('a code archive', () => {
  it('keeps its files, folders, links inside it, and who may be executed', async () => {
    const { release, verdict } = await prepare(
      await tarGz([
        PYPROJECT,
        { name: './bin/', type: 'directory' },
        { name: './bin/run', content: '#!/bin/sh\n', mode: 0o755 },
        { name: '日本語/お茶.txt', content: '茶' },
        { name: 'latest', type: 'symlink', linkname: '日本語/お茶.txt' },
      ]),
    )
    expect(verdict.outcome).toBe('done')
    expect(target.read('releases', release.id, 'latest')).toBe('茶')
    expect(readdirSync(target.path('releases', release.id)).sort()).toEqual(
      ['.pybundle-release.json', '.venv', 'bin', 'latest', 'pyproject.toml', '日本語'].sort(),
    )
  })

  it('is the tar that it begins as, whatever stands behind that', async () => {
    const zip = new ZipArchive()
    zip.append(project(), { name: 'pyproject.toml' })
    zip.append('print()\n', { name: 'hidden.py' })
    void zip.finalize()
    const { release, verdict } = await prepare(Buffer.concat([await tarGz([PYPROJECT]), await buffer(zip)]))
    expect(verdict.outcome).toBe('done')
    expect(target.has('releases', release.id, 'pyproject.toml')).toBe(true)
    expect(target.has('releases', release.id, 'hidden.py')).toBe(false)
  })

  it('may be a zip', async () => {
    const zip = new ZipArchive()
    zip.append(project(), { name: 'pyproject.toml' })
    zip.append('print()\n', { name: 'src/app.py', mode: 0o755 })
    void zip.finalize()
    const { release, verdict } = await prepare(await buffer(zip))
    expect(verdict.outcome).toBe('done')
    expect(target.read('releases', release.id, 'src/app.py')).toBe('print()\n')
  })

  const HOSTILE: [string, Entry[], RegExp][] = [
    ['climbs out', [{ name: '../../outside', content: 'x' }], /not a path that can be used here/],
    ['names an absolute path', [{ name: '/tmp/outside', content: 'x' }], /not a path that can be used here/],
    ['has a backslash', [{ name: '..\\outside', content: 'x' }], /not a path that can be used here/],
    [
      'links to an absolute path',
      [{ name: 'a', type: 'symlink', linkname: '/etc' }],
      /links out of it, to "\/etc"/,
    ],
    ['links out', [{ name: 'a', type: 'symlink', linkname: '../../..' }], /links out of it/],
    [
      'links out through another link',
      [
        { name: 'x/y/z/', type: 'directory' },
        { name: 'x/y/z/top', type: 'symlink', linkname: '../../..' },
        { name: 'x/y/z/out', type: 'symlink', linkname: 'top/../..' },
      ],
      /links out of it/,
    ],
    [
      'writes through a link',
      [
        { name: 'a', type: 'symlink', linkname: '../../..' },
        { name: 'a/outside', content: 'x' },
      ],
      /is a folder and something else/,
    ],
    [
      'has a hard link',
      [{ name: 'a', type: 'link', linkname: '/etc/passwd' }],
      /neither a file, a folder nor a link/,
    ],
    ['has a device', [{ name: 'a', type: 'character-device', devmajor: 1, devminor: 3 }], /neither a file/],
    ['has a pipe', [{ name: 'a', type: 'fifo' }], /neither a file/],
    ['has a setuid file', [{ name: 'a', content: 'x', mode: 0o4755 }], /setuid/],
    [
      'has a file twice',
      [
        { name: 'a', content: 'x' },
        { name: './a', content: 'y' },
      ],
      /twice/,
    ],
    ['has our own marker', [{ name: '.pybundle-release.json', content: '{}' }], /must not contain/],
    [
      'has a folder called as it',
      [{ name: './.pybundle-release.json/', type: 'directory' }],
      /must not contain/,
    ],
    ['has the folder of a virtualenv', [{ name: '.venv', type: 'directory' }], /must not contain/],
    ['has a virtualenv', [{ name: '.venv/bin/python', content: '' }], /must not contain/],
  ]
  it.each(HOSTILE)('that %s is refused, and nothing of it is left', async (_, entries, reason) => {
    const { release, verdict } = await prepare(await tarGz([PYPROJECT, ...entries]))
    expect(verdict).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(reason) })
    expect(target.has('releases', release.id)).toBe(false)
  })

  it.each<[string, (whole: Buffer) => Buffer]>([
    ['is cut off', (whole) => whole.subarray(0, whole.length - 40)],
    ['is no archive', () => Buffer.from('hello')],
    [
      'is damaged',
      (whole) => Buffer.concat([whole.subarray(0, 60), Buffer.alloc(20, 7), whole.subarray(80)]),
    ],
  ])('that %s is refused', async (_, damage) => {
    const whole = await tarGz([PYPROJECT, { name: 'a', content: Math.random().toString().repeat(500) }])
    const { verdict } = await prepare(damage(whole))
    expect(verdict).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/archive cannot be read/),
    })
  })

  it('never touches what lies outside', () => {
    expect(readdirSync(workshop.folder)).toContain('outside')
    expect(target.has('tmp/outside')).toBe(false)
  })
})
