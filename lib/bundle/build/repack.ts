import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { ZipArchive } from 'archiver'
import { openPromise } from 'yauzl'
import { readEntries } from '../../archive-entries.ts'

/** Of a wheel, by name. */
export type Members = Map<string, Member>

export interface Member {
  content: Buffer
  isExecutable: boolean
}

/** The same members in the same bytes: build tools keep what the machine's umask, clock and zlib made of them. */
export async function repack(wheel: string): Promise<void> {
  await writeMembers(wheel, await readMembers(wheel))
}

export async function readMembers(wheel: string): Promise<Members> {
  const zip = await openPromise(wheel, { autoClose: false })
  try {
    const members: Members = new Map()
    for (const [name, entry] of await readEntries(zip)) {
      const content = await buffer(await zip.openReadStreamPromise(entry))
      members.set(name, { content, isExecutable: ((entry.externalFileAttributes >>> 16) & 0o100) !== 0 })
    }
    return members
  } finally {
    zip.close()
  }
}

export async function writeMembers(wheel: string, members: Members): Promise<void> {
  const temporary = `${wheel}.${randomUUID().slice(0, 8)}`
  const archive = new ZipArchive({})
  const output = createWriteStream(temporary)
  archive.on('error', (error) => output.destroy(error))
  archive.pipe(output)
  const date = new Date('1980-01-01T00:00:00Z')
  for (const [name, { content, isExecutable }] of members)
    archive.append(content, { name, date, mode: isExecutable ? 0o755 : 0o644 })
  await Promise.all([archive.finalize(), finished(output)])
  await rename(temporary, wheel)
}
