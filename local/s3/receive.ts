import { ServiceError, type SignedRequest } from '../http/service.ts'
import type { WrittenBlob } from './blobs.ts'
import type { Bucket } from './bucket.ts'
import { announcedChecksum, checkAnnounced, checkContentMd5 } from './checksums.ts'

const MAX_SIZE = 5 * 1024 ** 3

/** Writes the request's body to disk, or throws and leaves nothing where it is not what its checksums say. */
export async function receiveBody(bucket: Bucket, request: SignedRequest): Promise<WrittenBlob> {
  checkLength(request)
  const announced = announcedChecksum(request)
  const blob = await bucket.blobs.write(request.body, announced?.algorithm ?? 'CRC64NVME')
  try {
    checkAnnounced(announced, blob.checksum)
    checkContentMd5(request, blob.md5)
  } catch (error) {
    bucket.blobs.remove([blob])
    throw error
  }
  return blob
}

function checkLength({ headers }: SignedRequest): void {
  const length = headers['x-amz-decoded-content-length'] ?? headers['content-length']
  if (length === undefined) {
    throw new ServiceError(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.')
  }
  if (Number(length) > MAX_SIZE) {
    throw new ServiceError(
      400,
      'EntityTooLarge',
      'Your proposed upload exceeds the maximum allowed object size',
      {
        ProposedSize: String(length),
        MaxSizeAllowed: String(MAX_SIZE),
      },
    )
  }
}

export function checkKey(key: string): void {
  const size = Buffer.byteLength(key)
  if (size <= 1024) return
  throw new ServiceError(400, 'KeyTooLongError', 'Your key is too long', {
    Size: String(size),
    MaxSizeAllowed: '1024',
  })
}
