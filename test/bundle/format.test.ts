import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { ZipArchive } from 'archiver'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { packBundle } from '../../lib/bundle/pack.ts'
import { readBundle } from '../../lib/bundle/read.ts'
import { readManifest } from '../../lib/bundle/read-manifest.ts'
import type { RangeSource } from '../../lib/bundle/read-ranges.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { UserError } from '../../lib/user-error.ts'
import { writeBundle } from './bundle-file.ts'
import { temporaryFolder } from './temporary-folder.ts'

async function refusal(file: string): Promise<string> {
  const error = await readBundle(file).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(UserError)
  return error.message.replace(`${file}: `, '')
}

async function zipOf(members: Record<string, string>, file: string, store = true): Promise<string> {
  const archive = new ZipArchive({ store })
  for (const [name, content] of Object.entries(members)) archive.append(content, { name })
  const [bytes] = await Promise.all([buffer(archive), archive.finalize()])
  writeFileSync(file, bytes)
  return file
}

function flipBit(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

describe('a bundle', () => {
  it('is the same bytes whenever the same parts are packed', async () => {
    const [one, two] = [await writeBundle(temporaryFolder()), await writeBundle(temporaryFolder())]
    expect(readFileSync(one.file).equals(readFileSync(two.file))).toBe(true)
  })

  it('leaves nothing behind where it could not be written', async () => {
    const folder = temporaryFolder()
    const { parts } = await writeBundle(temporaryFolder())
    const wheels = [...parts.wheels, join(folder, 'absent-1.0-py3-none-any.whl')]
    await expect(packBundle({ ...parts, wheels }, join(folder, 'shop.pybundle'))).rejects.toThrow('absent')
    expect(readdirSync(folder)).toEqual([])
  })

  it.runIf(existsSync('/dev/full'))('is refused where the disk is full', async () => {
    const folder = temporaryFolder()
    const { parts } = await writeBundle(temporaryFolder())
    const file = join(folder, 'shop.pybundle')
    symlinkSync('/dev/full', `${file}.${process.pid}.part`)
    await expect(packBundle(parts, file)).rejects.toThrow('ENOSPC')
    expect(readdirSync(folder)).toEqual([])
  })

  it('holds wheels first and its manifest last, all stored', async () => {
    const { file } = await writeBundle(temporaryFolder())
    const list =
      'import json,sys,zipfile; print(json.dumps([[m.filename, m.compress_type, m.date_time[0], oct(m.external_attr >> 16)] for m in zipfile.ZipFile(sys.argv[1]).infolist()]))'
    const { stdout } = await execa('python3', ['-c', list, file])
    expect(JSON.parse(stdout)).toEqual(
      [
        'wheels/alpha-1.0-py3-none-any.whl',
        'wheels/beta-2.0-py3-none-any.whl',
        'tools/pip-24.0-py3-none-any.whl',
        'requirements.txt',
        'pylock.toml',
        'pybundle.json',
      ].map((name) => [name, 0, 1980, '0o100644']),
    )
  })

  it('is identified by the sha256 of its manifest, which lists all else', async () => {
    const { file, digest } = await writeBundle(temporaryFolder())
    const read =
      'import sys,zipfile; print(zipfile.ZipFile(sys.argv[1]).read("pybundle.json").decode(), end="")'
    const { stdout } = await execa('python3', ['-c', read, file], { stripFinalNewline: false })
    expect(sha256(stdout)).toBe(digest)
    expect(await readBundle(file)).toMatchObject({
      digest,
      manifest: {
        format: 2,
        platform: { machine: 'x86_64', libc: ['glibc', '2.34'], python: '3.11' },
        roots: ['beta'],
        members: { 'wheels/alpha-1.0-py3-none-any.whl': { sha256: sha256('alpha'), size: 5 } },
      },
    })
  })

  it('is judged by its directory and its manifest alone, whatever its size', async () => {
    const { file, digest } = await writeBundle(temporaryFolder(), {
      'large-1.0-py3-none-any.whl': 'x'.repeat(500_000),
    })
    const bytes = readFileSync(file)
    let read = 0
    const source: RangeSource = {
      size: bytes.length,
      read: async (start, end) => {
        read += end - start + 1
        return bytes.subarray(start, end + 1)
      },
    }
    expect((await readManifest(source)).digest).toBe(digest)
    expect(read).toBeLessThan(100_000)
  })
})

describe('what is no bundle', () => {
  it.each([
    ['an empty file', '', 'not a .pybundle: it is empty.'],
    ['a text', 'hello, world', 'not a .pybundle: it is no zip file at all.'],
    ['a short one', 'x', 'not a .pybundle: it is no zip file at all.'],
  ])('is refused: %s', async (_, content, message) => {
    const file = join(temporaryFolder(), 'x.pybundle')
    writeFileSync(file, content)
    expect(await refusal(file)).toBe(message)
  })

  it('is refused wherever it was cut off', async () => {
    const { file } = await writeBundle(temporaryFolder())
    const bytes = readFileSync(file)
    for (const length of [10, 100, bytes.length >> 1, bytes.length - 30, bytes.length - 1]) {
      writeFileSync(file, bytes.subarray(0, length))
      expect(await refusal(file)).toMatch(/cut off|missing|no zip file/)
    }
  })

  it('is refused with one bit flipped in a member', async () => {
    const { file } = await writeBundle(temporaryFolder(), { 'gamma-1.0-py3-none-any.whl': 'flip me' })
    for (const text of ['flip me', 'requires-python', 'wheels/gamma']) {
      await writeBundle(dirname(file), { 'gamma-1.0-py3-none-any.whl': 'flip me' })
      flipBit(file, readFileSync(file).indexOf(text))
      expect(await refusal(file)).toMatch(/gamma|pylock.toml/)
    }
  })

  it('is refused in words, or harmless, wherever a bit is flipped', async () => {
    const { file, digest } = await writeBundle(temporaryFolder())
    const { length } = readFileSync(file)
    for (let at = 0; at < length; at += 13) {
      flipBit(file, at)
      const outcome = await readBundle(file).catch((error) => error)
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(UserError)
      else if (outcome.digest === digest) expect(Object.keys(outcome.manifest.members)).toHaveLength(5)
      flipBit(file, at)
    }
  })

  it('is refused as what it is: a zip of something else', async () => {
    const file = await zipOf({ 'readme.txt': 'hello' }, join(temporaryFolder(), 'x.pybundle'))
    expect(await refusal(file)).toBe('not a .pybundle: a zip file, but without pybundle.json.')
  })

  it('is refused as a bundle of format 1, with what to do', async () => {
    const file = await zipOf({ 'pip-manifest.txt': '' }, join(temporaryFolder(), 'x.pybundle'))
    expect(await refusal(file)).toMatch(/^a bundle of format 1.*publish-bundle --from FILE$/)
  })

  it('is refused as a bundle of a format to come', async () => {
    const file = await zipOf({ 'pybundle.json': '{"format":3}' }, join(temporaryFolder(), 'x.pybundle'))
    expect(await refusal(file)).toMatch(/^not a .pybundle of format 2: its pybundle.json: format/)
  })

  it('is refused with a manifest that is no JSON', async () => {
    const file = await zipOf({ 'pybundle.json': '{' }, join(temporaryFolder(), 'x.pybundle'))
    expect(await refusal(file)).toBe('not a .pybundle: its pybundle.json is not JSON.')
  })

  it.each([
    [{ 'setup.py': 'x' }, true, '"setup.py" does not belong into one'],
    [{ 'wheels/a-1-py3-none-any.whl': 'x' }, true, 'is not listed in pybundle.json'],
  ])('is refused with members that are not its own: %j', async (extra, store, message) => {
    const members = { ...extra, 'pybundle.json': MANIFEST }
    expect(await refusal(await zipOf(members, join(temporaryFolder(), 'x.pybundle'), store))).toContain(
      message,
    )
  })

  it('is refused when it is compressed', async () => {
    const members = { 'pybundle.json': MANIFEST + ' '.repeat(1000) }
    const file = await zipOf(members, join(temporaryFolder(), 'x.pybundle'), false)
    expect(await refusal(file)).toBe('not a .pybundle: "pybundle.json" is compressed.')
  })

  it('is refused when a listed member is not there', async () => {
    const members = {
      'pybundle.json': MANIFEST.replace('{}}', `{"requirements.txt":{"sha256":"${sha256('')}","size":0}}}`),
    }
    const file = await zipOf(members, join(temporaryFolder(), 'x.pybundle'))
    expect(await refusal(file)).toBe('"requirements.txt" is listed in pybundle.json, but is not in the file.')
  })
})

const MANIFEST =
  '{"format":2,"platform":{"machine":"x86_64","libc":["glibc","2.34"],"python":"3.11"},"roots":[],"vcs":{},"members":{}}'
