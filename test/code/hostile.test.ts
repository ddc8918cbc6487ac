import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { type Header, pack } from 'tar-stream'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type CodeArchiveKind, checkCodeArchive } from '../../lib/code/check-archive.ts'
import { UserError } from '../../lib/user-error.ts'
import { MUTATIONS, mutate } from '../bundle/mutate.ts'
import { type RawMember, rawZip } from '../bundle/raw-zip.ts'

type TarMember = Partial<Header> & { name: string; content?: string | Buffer }

async function tarOf(members: readonly TarMember[]): Promise<Buffer> {
  const archive = pack()
  for (const { content = '', ...header } of members) archive.entry(header, content)
  archive.finalize()
  return gzipSync(await buffer(archive))
}

function check(content: Buffer, kind: CodeArchiveKind): Promise<void> {
  return checkCodeArchive(Readable.from([content]), kind)
}

async function refusal(content: Buffer, kind: CodeArchiveKind): Promise<string> {
  const error: unknown = await check(content, kind).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(UserError)
  return (error as UserError).message
}

const APP = { name: 'pyproject.toml' }
afterEach(() => vi.unstubAllEnvs())

const BOMB = Buffer.alloc(2 * 1024 * 1024)
const LIMITS = { PYBUNDLE_MAX_MEMBERS: '30', PYBUNDLE_MAX_GIB: '0.001' }

describe('a code archive as .tar.gz is refused with', () => {
  it.each<[string, TarMember[], RegExp]>([
    ['traversal', [{ name: '../evil' }], /"\.\.\/evil" leads out of the archive/],
    ['traversal within', [{ name: 'a/../../evil' }], /leads out of the archive/],
    ['an absolute name', [{ name: '/etc/evil' }], /"\/etc\/evil" is an absolute name/],
    ['a backslash', [{ name: '..\\evil' }], /has a backslash/],
    [
      'a link out',
      [{ name: 'a/l', type: 'symlink', linkname: '../../etc' }],
      /"a\/l" links out of the archive/,
    ],
    [
      'an absolute link',
      [{ name: 'l', type: 'symlink', linkname: '/etc' }],
      /"l" links out of the archive, to "\/etc"/,
    ],
    [
      'a link out by way of another link',
      [
        { name: 'a/b/top', type: 'symlink', linkname: '../..' },
        { name: 'l', type: 'symlink', linkname: './a/b/top/../../etc/passwd' },
      ],
      /"l" links out of the archive, to "\.\/a\/b\/top/,
    ],
    [
      'a file through a link',
      [{ name: 'l', type: 'symlink', linkname: 'a' }, { name: 'l/x' }],
      /"l" is a file, and the folder of "l\/x"/,
    ],
    [
      'a hard link',
      [{ name: 'h', type: 'link', linkname: 'pyproject.toml' }],
      /"h" is a hard link: with tar --hard-dereference/,
    ],
    ['a device', [{ name: 'd', type: 'character-device' }], /"d" is neither a file/],
    ['a pipe', [{ name: 'p', type: 'fifo' }], /"p" is neither a file/],
    ['setuid', [{ name: 's', mode: 0o4755 }], /"s" is setuid, setgid or sticky/],
    ['a duplicate', [{ name: 'a' }, { name: './a' }], /it holds "a" twice/],
    [
      'names that differ in case',
      [{ name: 'README' }, { name: 'readme' }],
      /are one file where case does not count/,
    ],
    [
      'names that differ in how an accent is written',
      [{ name: 'caf\u00e9' }, { name: 'cafe\u0301' }],
      /are one file where how an accent is written does not count/,
    ],
    [
      'too many files',
      Array.from({ length: 30 }, (_, index) => ({ name: `${index}` })),
      /more than 30 files/,
    ],
    ['a bomb', [{ name: 'b', content: BOMB }], /unpacks to more than/],
  ])('%s', async (_, members, told) => {
    for (const [name, value] of Object.entries(LIMITS)) vi.stubEnv(name, value)
    expect(await refusal(await tarOf([APP, ...members]), 'tar.gz')).toMatch(told)
  })

  it('zeros without end behind it', async () => {
    for (const [name, value] of Object.entries(LIMITS)) vi.stubEnv(name, value)
    const bomb = Buffer.concat([gunzipSync(await tarOf([APP])), BOMB])
    expect(await refusal(gzipSync(bomb), 'tar.gz')).toMatch(/unpacks to more than PYBUNDLE_MAX_GIB allows/)
  })
})

describe('a code archive as .zip is refused with', () => {
  it.each<[string, RawMember[], RegExp]>([
    ['traversal', [{ name: '../evil' }], /invalid relative path: \.\.\/evil/],
    ['an absolute name', [{ name: '/etc/evil' }], /absolute path/],
    ['a backslash', [{ name: '..\\evil' }], /invalid characters in fileName/],
    [
      'a link out',
      [{ name: 'a/l', content: '../../etc', mode: 0o120777 }],
      /"a\/l" links out of the archive/,
    ],
    ['a device', [{ name: 'd', mode: 0o020666 }], /"d" is a character device/],
    ['setgid', [{ name: 's', mode: 0o102755 }], /"s" is setuid, setgid or sticky/],
    ['a duplicate', [{ name: 'a' }, { name: 'a' }], /it holds "a" twice/],
    ['names that differ in case', [{ name: 'A' }, { name: 'a' }], /are one file/],
    ['a declared bomb', [{ name: 'b', content: BOMB, isDeflated: true }], /unpacks to more than/],
    [
      'a real one',
      [{ name: 'b', content: BOMB, isDeflated: true, declaredSize: 1 }],
      /"b" cannot be read \(too many bytes/,
    ],
  ])('%s', async (_, members, told) => {
    for (const [name, value] of Object.entries(LIMITS)) vi.stubEnv(name, value)
    expect(await refusal(rawZip([APP, ...members]), 'zip')).toMatch(told)
  })

  it('one bit flipped', async () => {
    const bytes = rawZip([{ ...APP, content: 'app = "shop"' }])
    const at = bytes.indexOf('shop')
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    expect(await refusal(bytes, 'zip')).toBe(
      'not a code archive: "pyproject.toml" was changed: its CRC-32 differs.',
    )
  })
})

describe('a code archive', () => {
  it('may hold links that stay inside, folders, and names of any language', async () => {
    const members: TarMember[] = [
      { name: './', type: 'directory' },
      { name: './pyproject.toml' },
      { name: 'static', type: 'directory' },
      { name: 'static/日本語.txt' },
      { name: 'a/link', type: 'symlink', linkname: '../static/日本語.txt' },
      { name: 'a/up', type: 'symlink', linkname: './../a/./link' },
      { name: 'run.sh', mode: 0o755 },
    ]
    await expect(check(await tarOf(members), 'tar.gz')).resolves.toBeUndefined()
    const link = { name: 'a/link', content: '../pyproject.toml', mode: 0o120777 }
    await expect(
      check(rawZip([APP, link, { name: 'static/', mode: 0o040755 }]), 'zip'),
    ).resolves.toBeUndefined()
  })

  it.each<CodeArchiveKind>(['tar.gz', 'zip'])(
    'is refused in words or taken, whatever is done to its bytes: .%s',
    async (kind) => {
      const files = [APP, { name: 'shop.py', content: 'print("shop")\n'.repeat(100) }, { name: 'a/b' }]
      const original = kind === 'zip' ? rawZip(files) : await tarOf(files)
      const property = fc.asyncProperty(MUTATIONS, async (mutations) => {
        const outcome: unknown = await check(mutations.reduce(mutate, original), kind).catch((error) => error)
        if (outcome !== undefined) expect(outcome).toBeInstanceOf(UserError)
      })
      await fc.assert(property, { numRuns: 500 })
    },
  )

  it('is refused in words or taken, whatever is done to the tar in it', async () => {
    const original = gunzipSync(await tarOf([APP, { name: 'shop.py', content: 'x'.repeat(600) }]))
    const property = fc.asyncProperty(MUTATIONS, async (mutations) => {
      const outcome: unknown = await check(gzipSync(mutations.reduce(mutate, original)), 'tar.gz').catch(
        (error) => error,
      )
      if (outcome !== undefined) expect(outcome).toBeInstanceOf(UserError)
    })
    await fc.assert(property, { numRuns: 500 })
  })
})
