import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'
import { inspectBundle } from '../../lib/bundle/inspect.ts'
import { readLegacy } from '../../lib/bundle/legacy/legacy.ts'
import { unpackLegacy } from '../../lib/bundle/legacy/legacy-unpack.ts'
import { packBundle } from '../../lib/bundle/pack.ts'
import { readBundle } from '../../lib/bundle/read.ts'
import { readWheel } from '../../lib/bundle/verify/read-wheel.ts'
import { UserError } from '../../lib/user-error.ts'
import { MUTATIONS, type Mutation, mutate } from './mutate.ts'
import { type RawMember, rawZip } from './raw-zip.ts'
import { temporaryFolder } from './temporary-folder.ts'
import { writeWheel } from './wheel-file.ts'

const LEGACY = new URL('data/legacy.pybundle', import.meta.url).pathname
afterEach(() => vi.unstubAllEnvs())

const BOMB = Buffer.alloc(2 * 1024 * 1024)

/** What each attack is called, its members, and what is said of it. */
const ATTACKS: [name: string, members: RawMember[], told: RegExp][] = [
  ['traversal', [{ name: '../evil' }], /invalid relative path: \.\.\/evil/],
  ['traversal within', [{ name: 'build/a/../../../evil' }], /invalid relative path/],
  ['an absolute name', [{ name: '/tmp/evil' }], /absolute path: \/tmp\/evil/],
  ['a drive', [{ name: 'C:/evil' }], /absolute path: C:\/evil/],
  ['a backslash', [{ name: '..\\evil' }], /invalid characters in fileName: \.\.\\evil/],
  ['a control character', [{ name: 'a\u0007b' }], /has a control character/],
  ['an empty part', [{ name: 'a//b' }], /"a\/\/b" is no plain name/],
  ['a symbolic link', [{ name: 'l', content: '/etc', mode: 0o120777 }], /"l" is a symbolic link/],
  ['a device', [{ name: 'd', mode: 0o020666 }], /"d" is a character device/],
  ['a disk', [{ name: 'd', mode: 0o060666 }], /"d" is a block device/],
  ['a pipe', [{ name: 'p', mode: 0o010666 }], /"p" is a pipe/],
  ['setuid', [{ name: 's', mode: 0o104755 }], /"s" is setuid, setgid or sticky/],
  ['setgid', [{ name: 's', mode: 0o102755 }], /"s" is setuid, setgid or sticky/],
  ['a duplicate', [{ name: 'a' }, { name: 'a', content: 'other' }], /holds "a" twice/],
  ['names that differ in case', [{ name: 'a/B' }, { name: 'A/b' }], /are one file where case does not count/],
  ['names that differ in Unicode', [{ name: 'é' }, { name: 'e\u0301' }], /are one file/],
  ['a file that is a folder', [{ name: 'a' }, { name: 'a/b' }], /"a" is a file, and the folder of "a\/b"/],
  ['a folder that is a file', [{ name: 'a/b' }, { name: 'a' }], /"a" is a file, and a folder/],
  ['encryption', [{ name: 'e', isEncrypted: true }], /"e" is encrypted/],
  ['too many files', Array.from({ length: 31 }, (_, index) => ({ name: `${index}` })), /more than 30 files/],
  ['a declared bomb', [{ name: 'b', content: BOMB, isDeflated: true }], /unpacks to more than 0\.001 GiB/],
]

function fileOf(content: Buffer, name = 'x.pybundle'): string {
  const file = join(temporaryFolder(), name)
  writeFileSync(file, content)
  return file
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.catch((thrown) => thrown)
  expect(error).toBeInstanceOf(UserError)
  return (error as UserError).message
}

function useSmallLimits(): void {
  vi.stubEnv('PYBUNDLE_MAX_MEMBERS', '30')
  vi.stubEnv('PYBUNDLE_MAX_GIB', '0.001')
}

describe.each(ATTACKS)('%s', (_, members, told) => {
  it('is refused in a bundle', async () => {
    useSmallLimits()
    const file = fileOf(rawZip([...members, { name: 'pybundle.json' }]))
    expect(await refusal(readBundle(file))).toMatch(told)
  })

  it('is refused in a wheel', async () => {
    useSmallLimits()
    const file = fileOf(rawZip(members), 'a-1.0-py3-none-any.whl')
    expect(await refusal(readWheel(file))).toMatch(told)
  })

  it('is refused in a bundle of format 1, of which nothing is unpacked', async () => {
    useSmallLimits()
    const file = fileOf(rawZip([{ name: 'pip-manifest.txt' }, { name: 'build/a/setup.py' }, ...members]))
    const folder = temporaryFolder()
    await refusal(unpackLegacy(file, join(folder, 'unpacked'), await findPython()))
    expect(readdirSync(folder)).toEqual([])
    expect(await refusal(readBundle(file))).toMatch(told)
  })
})

describe('a member that is not what it is declared to be', () => {
  const wheel = (member: RawMember) => readWheel(fileOf(rawZip([member]), 'a-1.0-py3-none-any.whl'))

  it.each<[string, RawMember, RegExp]>([
    [
      'more than declared',
      { name: 'b', content: BOMB, isDeflated: true, declaredSize: 10 },
      /too many bytes/,
    ],
    [
      'less than declared',
      { name: 'b', content: 'x', isDeflated: true, declaredSize: 10 },
      /not enough bytes/,
    ],
    ['another size, stored', { name: 'b', content: 'xx', declaredSize: 1 }, /size mismatch|mismatch/],
  ])('is refused: %s', async (_, member, told) => {
    expect(await refusal(wheel(member))).toMatch(told)
  })

  it('is refused with one bit flipped, compressed or not', async () => {
    for (const isDeflated of [false, true]) {
      const bytes = rawZip([{ name: 'b', content: 'some content', isDeflated }])
      bytes.writeUInt8(bytes.readUInt8(33) ^ 4, 33)
      expect(await refusal(readWheel(fileOf(bytes, 'a-1.0-py3-none-any.whl')))).toMatch(
        /"b" (was changed|cannot be read)/,
      )
    }
  })
})

/** A bundle with real wheels. */
async function realBundle(): Promise<Buffer> {
  const folder = temporaryFolder()
  const wheels = [
    await writeWheel(folder, {
      name: 'alpha',
      requires: ['beta>=1'],
      entryPoints: '[console_scripts]\na = alpha:b\n',
    }),
    await writeWheel(folder, { name: 'beta' }),
  ]
  const pip = await writeWheel(folder, { name: 'pip', version: '24.0' })
  const file = join(folder, 'x.pybundle')
  await packBundle(
    {
      platform: { machine: 'x86_64', libc: ['glibc', '2.34'], python: '3.11' },
      roots: ['alpha'],
      wheels,
      pip,
    },
    file,
  )
  return readFileSync(file)
}

describe('whatever is done to the bytes', () => {
  it('of a bundle, it is refused in words or read, and nothing is written', async () => {
    const original = await realBundle()
    const file = fileOf(original)
    const { digest } = await readBundle(file)
    const check = async (mutations: Mutation[]) => {
      const mutated = mutations.reduce(mutate, original)
      writeFileSync(file, mutated)
      const outcome = await readBundle(file).catch((error) => error)
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(UserError)
      // The bundle's id is of all that is in it.
      else if (outcome.digest !== digest) expect(await inspectBundle(file)).toMatchObject({ format: 2 })
      expect(readdirSync(dirname(file))).toEqual(['x.pybundle'])
    }
    await fc.assert(fc.asyncProperty(MUTATIONS, check), { numRuns: 600 })
  })

  it('of a wheel, it is refused in words or read', async () => {
    const file = await writeWheel(temporaryFolder(), { name: 'alpha', requires: ['beta>=1'] })
    const original = readFileSync(file)
    const check = async (mutations: Mutation[]) => {
      writeFileSync(file, mutations.reduce(mutate, original))
      const outcome = await readWheel(file).catch((error) => error)
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(UserError)
    }
    await fc.assert(fc.asyncProperty(MUTATIONS, check), { numRuns: 600 })
  })

  it('of a bundle of format 1, it is refused in words or unpacked into its folder alone', async () => {
    const original = readFileSync(LEGACY)
    const python = await findPython()
    const check = async (mutations: Mutation[]) => {
      const folder = temporaryFolder()
      const file = join(folder, 'x.pybundle')
      writeFileSync(file, mutations.reduce(mutate, original))
      const unpack = () => unpackLegacy(file, join(folder, 'unpacked'), python)
      for (const work of [() => readLegacy(file), unpack]) {
        const outcome = await work().catch((error) => error)
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(UserError)
      }
      expect(readdirSync(folder).filter((name) => name !== 'unpacked')).toEqual(['x.pybundle'])
    }
    await fc.assert(fc.asyncProperty(MUTATIONS, check), { numRuns: 300 })
  })
})
