import { createHash } from 'node:crypto'
import { basename, join } from 'node:path'
import { parseWheelName } from '../wheel.ts'
import { type Members, readMembers, writeMembers } from './repack.ts'

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
  await writeMembers(file, members)
  return file
}

function change(members: Members, name: string, edit: (text: string) => string): void {
  const member = members.get(name)
  if (member) members.set(name, { ...member, content: Buffer.from(edit(member.content.toString())) })
}
