import { crc32, deflateRawSync } from 'node:zlib'

export interface RawMember {
  name: string
  content?: string | Buffer
  /** As in Unix, with the kind of file. */
  mode?: number
  isDeflated?: boolean
  isEncrypted?: boolean
  /** Instead of the truth. */
  declaredSize?: number
}

/** A zip with whatever it is told to hold: what makes real ones would not write most of it. */
export function rawZip(members: readonly RawMember[]): Buffer {
  const [locals, centrals]: [Buffer[], Buffer[]] = [[], []]
  let offset = 0
  for (const member of members) {
    const { name, mode = 0o100644, isDeflated = false, isEncrypted = false } = member
    const content = Buffer.from(member.content ?? '')
    const encryption = Buffer.alloc(isEncrypted ? 12 : 0)
    const data = Buffer.concat([encryption, isDeflated ? deflateRawSync(content) : content])
    const raw = Buffer.from(name)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(0x0800 | (isEncrypted ? 1 : 0), 2)
    common.writeUInt16LE(isDeflated ? 8 : 0, 4)
    common.writeUInt16LE(0x21, 8)
    common.writeUInt32LE(crc32(content), 10)
    common.writeUInt32LE(data.length, 14)
    common.writeUInt32LE(member.declaredSize ?? content.length, 18)
    common.writeUInt16LE(raw.length, 22)
    const attributes = Buffer.alloc(14)
    attributes.writeUInt32LE(mode * 65_536, 6)
    attributes.writeUInt32LE(offset, 10)
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, raw, data])
    const version = Buffer.from([20, 3])
    centrals.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), version, common, attributes, raw]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(centrals)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(members.length, 8)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}
