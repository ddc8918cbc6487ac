import { createHash, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { finished } from 'node:stream/promises'
import { ZipArchive } from 'archiver'
import { openPromise } from 'yauzl'
import { readEntries } from '../archive-entries.ts'
import { parseWheelName } from './wheel.ts'

/** The same wheel with another tag in its name, its WHEEL file and its RECORD, below `folder`. */
export async function retag(wheel: string, tag: string, folder: string): Promise<string> {
  const [old = ''] = parseWheelName(wheel)?.tags ?? []
  const file = join(folder, basename(wheel).replace(old, tag))
  const members = await readMembers(wheel)
  const info = [...members.keys()]
    .find((name) => /^[^/]+\.dist-info\/WHEEL$/.test(name))
    ?.replace('/WHEEL', '')
  if (!info) throw new Error(`${wheel} has no WHEEL`)
  change(members, `${info}/WHEEL`, (text) => text.replace(/^Tag: .*$/m, `Tag: ${tag}`))
  const described = members.get(`${info}/WHEEL`)?.content ?? Buffer.alloc(0)
  const hash = createHash('sha256').update(described).digest('base64url')
  const entry = `${info}/WHEEL,sha256=${hash},${described.length}`
  change(members, `${info}/RECORD`, (text) =>
    text
      .split('\n')
      .map((line) => (line.startsWith(`${info}/WHEEL,`) ? entry : line))
      .join('\n'),
  )
  await writeZip(file, members)
  return file
}

interface Member {
  content: Buffer
  mode: number
}

async function readMembers(wheel: string): Promise<Map<string, Member>> {
  const zip = await openPromise(wheel, { autoClose: false })
  try {
    const members = new Map<string, Member>()
    for (const [name, entry] of await readEntries(zip)) {
      const content = await buffer(await zip.openReadStreamPromise(entry))
      members.set(name, { content, mode: (entry.externalFileAttributes >>> 16) & 0o777 || 0o644 })
    }
    return members
  } finally {
    zip.close()
  }
}

function change(members: Map<string, Member>, name: string, edit: (text: string) => string): void {
  const member = members.get(name)
  if (member) members.set(name, { ...member, content: Buffer.from(edit(member.content.toString())) })
}

/** The same members give the same bytes. */
async function writeZip(file: string, members: Map<string, Member>): Promise<void> {
  const temporary = `${file}.${randomUUID().slice(0, 8)}`
  const archive = new ZipArchive({})
  const output = createWriteStream(temporary)
  archive.on('error', (error) => output.destroy(error))
  archive.pipe(output)
  const date = new Date('1980-01-01T00:00:00Z')
  for (const [name, { content, mode }] of members) archive.append(content, { name, date, mode })
  await Promise.all([archive.finalize(), finished(output)])
  await rename(temporary, file)
}
