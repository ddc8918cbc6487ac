import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { TarArchive, ZipArchive } from 'archiver'
import { describe, expect, it } from 'vitest'
import { type CodeArchiveKind, checkCodeArchive } from '../../lib/code/check-archive.ts'
import { UserError } from '../../lib/user-error.ts'

async function archiveOf(kind: CodeArchiveKind, names: readonly string[]): Promise<Buffer> {
  const archive = kind === 'zip' ? new ZipArchive() : new TarArchive({ gzip: true })
  for (const name of names) archive.append(`${name} `.repeat(2000), { name })
  return (await Promise.all([buffer(archive), archive.finalize()]))[0]
}

async function complaint(content: Buffer, kind: CodeArchiveKind): Promise<string> {
  const stream = Readable.from(chunks(content))
  const error = await checkCodeArchive(stream, kind).catch((thrown) => thrown)
  expect(error).toBeInstanceOf(UserError)
  return error.message
}

function* chunks(content: Buffer) {
  for (let at = 0; at < content.length; at += 1000) yield content.subarray(at, at + 1000)
}

describe.each<CodeArchiveKind>(['tar.gz', 'zip'])('a code archive as .%s', (kind) => {
  it('passes with the configuration at its root', async () => {
    const content = await archiveOf(kind, ['shop.py', 'pyproject.toml'])
    await expect(checkCodeArchive(Readable.from(chunks(content)), kind)).resolves.toBeUndefined()
  })

  it('is refused where it was cut off', async () => {
    const content = await archiveOf(kind, ['pyproject.toml', 'shop.py'])
    for (const length of [20, content.length >> 1, content.length - 4]) {
      expect(await complaint(content.subarray(0, length), kind)).toMatch(/cut off/)
    }
  })

  it('is refused when it is something else', async () => {
    expect(await complaint(Buffer.from('hello, world'.repeat(5000)), kind)).toMatch(
      /^not a \.(zip|tar\.gz): it is /,
    )
  })

  it('is refused when it is empty', async () => {
    expect(await complaint(Buffer.alloc(0), kind)).toMatch(/^not a /)
    expect(await complaint(await archiveOf(kind, []), kind)).toMatch(/^not a /)
  })

  it('is refused when its files are in a folder, with the remedy', async () => {
    expect(await complaint(await archiveOf(kind, ['shop-1.0/pyproject.toml']), kind)).toBe(
      'not a code archive: no pyproject.toml or pybundle.toml at its root. It has "shop-1.0/pyproject.toml": pack the files of that folder, without the folder.',
    )
  })
})

describe('reading an archive', () => {
  it('refuses a zip behind something else, which targets would take for that', async () => {
    const zip = await archiveOf('zip', ['pyproject.toml'])
    const before = gzipSync('hello')
    const end = zip.lastIndexOf('PK\x05\x06')
    const directory = zip.readUInt32LE(end + 16)
    zip.writeUInt32LE(zip.readUInt32LE(directory + 42) + before.length, directory + 42)
    zip.writeUInt32LE(directory + before.length, end + 16)
    expect(await complaint(Buffer.concat([before, zip]), 'zip')).toMatch(/it does not begin as one/)
  })

  it('refuses a gzip of something that is no tar', async () => {
    expect(await complaint(gzipSync('hello, world'.repeat(5000)), 'tar.gz')).toMatch(
      /^not a \.tar\.gz: it is broken/,
    )
  })

  it('hands on an error of the source itself', async () => {
    const failing = () =>
      new Readable({
        read() {
          this.destroy(new Error('connection lost'))
        },
      })
    await expect(checkCodeArchive(failing(), 'tar.gz')).rejects.toThrow('connection lost')
    await expect(checkCodeArchive(failing(), 'zip')).rejects.toThrow('connection lost')
  })
})
