import type { SignedRequest } from '../http/service.ts'
import type { Buckets } from './buckets.ts'
import type { ObjectVersion } from './versions.ts'

export interface ObjectCreated {
  bucket: string
  key: string
  /** Absent where the bucket has no versioning. */
  versionId: string | undefined
  size: number
  eTag: string
  /** Of two events for one key, the later write has the greater one. */
  sequencer: string
  eventName: 'ObjectCreated:Put' | 'ObjectCreated:Copy' | 'ObjectCreated:CompleteMultipartUpload'
  time: Date
}

/** What an operation works with, besides its input. */
export interface Call {
  buckets: Buckets
  request: SignedRequest
  region: string
  account: string
  onObjectCreated: (event: ObjectCreated) => void | Promise<void>
}

/** An SDK input whose labels are known to be there; its body is read from the request. */
export type Keyed<Input> = Omit<Input, 'Bucket' | 'Key' | 'Body'> & { Bucket: string; Key: string }
export type OfBucket<Input> = Omit<Input, 'Bucket'> & { Bucket: string }

export async function announce(
  call: Call,
  bucket: string,
  eventName: ObjectCreated['eventName'],
  version: ObjectVersion,
): Promise<void> {
  const { key, versionId, size, eTag, sequencer } = version
  await call.onObjectCreated({
    bucket,
    key,
    versionId: versionId === 'null' ? undefined : versionId,
    size,
    eTag,
    sequencer,
    eventName,
    time: new Date(),
  })
}
