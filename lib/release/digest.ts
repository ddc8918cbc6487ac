import { createHash } from 'node:crypto'

/** A sha256 as 64 lower-case hex digits. */
export type Digest = string

export const DIGEST_PATTERN = /^[0-9a-f]{64}$/

export function sha256(content: string | Uint8Array): Digest {
  return createHash('sha256').update(content).digest('hex')
}
