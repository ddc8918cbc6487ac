import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { AwsCrc32c } from '@aws-crypto/crc32c'
import { Crc64Nvme } from '@aws-sdk/crc64-nvme'
import { ServiceError, type SignedRequest } from '../http/service.ts'
import { invalidRequest, notImplemented } from './errors.ts'

export const ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const
export type Algorithm = (typeof ALGORITHMS)[number]
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE'

export interface Checksum {
  algorithm: Algorithm
  /** base64; a composite one ends in `-<number of parts>`. */
  value: string
  type: ChecksumType
}

export interface RunningChecksum {
  update(chunk: Uint8Array): void
  digest(): Promise<Uint8Array>
}

export function startChecksum(algorithm: Algorithm): RunningChecksum {
  if (algorithm === 'CRC32C') return new AwsCrc32c()
  if (algorithm === 'CRC64NVME') return new Crc64Nvme()
  if (algorithm === 'CRC32') return new Crc32()
  const hash = createHash(algorithm)
  return { update: (chunk) => void hash.update(chunk), digest: async () => hash.digest() }
}

class Crc32 implements RunningChecksum {
  private value = 0

  update(chunk: Uint8Array): void {
    this.value = crc32(chunk, this.value)
  }

  async digest(): Promise<Uint8Array> {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(this.value)
    return bytes
  }
}

/** What the client says of its body; `value` is known once the body, with its trailers, has been read. */
export interface AnnouncedChecksum {
  algorithm: Algorithm
  value: () => string | undefined
}

const PREFIX = 'x-amz-checksum-'
const NO_CHECKSUM = new Set(['type', 'mode', 'algorithm'])

export function announcedChecksum({ headers, trailers }: SignedRequest): AnnouncedChecksum | undefined {
  const trailing = String(headers['x-amz-trailer'] ?? '').split(',')
  const names = [...Object.keys(headers), ...trailing.map((name) => name.trim().toLowerCase())]
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length))
    .filter((name) => !NO_CHECKSUM.has(name))
  const named = headers['x-amz-sdk-checksum-algorithm']
  if (names.length > 1) {
    throw invalidRequest(
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    )
  }
  const [name] = names
  if (!name) {
    if (!named) return undefined
    throw invalidRequest(
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    )
  }
  if (named && String(named).toLowerCase() !== name) {
    throw invalidRequest('Value for x-amz-sdk-checksum-algorithm header is invalid.')
  }
  const header = PREFIX + name
  return { algorithm: readAlgorithm(name), value: () => trailers[header] ?? String(headers[header] ?? '') }
}

export function readAlgorithm(name: string): Algorithm {
  const algorithm = ALGORITHMS.find((known) => known === name.toUpperCase())
  if (!algorithm) throw notImplemented(`checksum algorithm ${name}`)
  return algorithm
}

export function checkAnnounced(announced: AnnouncedChecksum | undefined, computed: Checksum): void {
  const value = announced?.value()
  if (!announced || value === computed.value) return
  const { algorithm } = announced
  if (Buffer.from(value ?? '', 'base64').length !== Buffer.from(computed.value, 'base64').length) {
    throw invalidRequest(`Value for ${PREFIX}${algorithm.toLowerCase()} header is invalid.`)
  }
  throw new ServiceError(
    400,
    'BadDigest',
    `The ${algorithm} you specified did not match the calculated checksum.`,
  )
}

/** `computed` in hex. */
export function checkContentMd5({ headers }: SignedRequest, computed: string): void {
  const announced = headers['content-md5']
  if (announced === undefined) return
  const expected = Buffer.from(String(announced), 'base64')
  if (expected.length !== 16) {
    throw new ServiceError(400, 'InvalidDigest', 'The Content-MD5 you specified was invalid.')
  }
  if (expected.toString('hex') === computed) return
  throw new ServiceError(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.', {
    ExpectedDigest: expected.toString('hex'),
    CalculatedDigest: computed,
  })
}

/** As the members of the SDK's inputs and outputs: `ChecksumCRC32: '...'`. */
export function checksumMembers(checksum: Checksum | undefined) {
  if (!checksum) return {}
  return { [`Checksum${checksum.algorithm}`]: checksum.value, ChecksumType: checksum.type }
}

/** The checksum of the checksums of the parts. */
export async function compositeChecksum(algorithm: Algorithm, parts: Checksum[]): Promise<Checksum> {
  const running = startChecksum(algorithm)
  for (const part of parts) running.update(Buffer.from(part.value, 'base64'))
  const value = `${Buffer.from(await running.digest()).toString('base64')}-${parts.length}`
  return { algorithm, value, type: 'COMPOSITE' }
}
