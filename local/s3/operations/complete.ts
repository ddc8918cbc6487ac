import { createHash } from 'node:crypto'
import type {
  CompletedPart,
  CompleteMultipartUploadOutput,
  CompleteMultipartUploadRequest,
} from '@aws-sdk/client-s3'
import { ServiceError } from '../../http/service.ts'
import type { Bucket } from '../bucket.ts'
import { announce, type Call, type Keyed } from '../call.ts'
import { type Checksum, checksumMembers, compositeChecksum, startChecksum } from '../checksums.ts'
import { checkWrite } from '../conditions.ts'
import { invalidRequest, malformedXml } from '../errors.ts'
import { MAX_PARTS, type Upload, type UploadedPart } from '../uploads.ts'
import { newObject, writtenMembers } from './put.ts'

const MIN_PART_SIZE = 5 * 1024 * 1024

export async function completeMultipartUpload(
  input: Keyed<CompleteMultipartUploadRequest>,
  call: Call,
): Promise<CompleteMultipartUploadOutput> {
  const bucket = call.buckets.find(input.Bucket)
  const { upload, parts: uploaded } = bucket.uploads.find(input.Key, input.UploadId ?? '')
  const parts = chooseParts(input.MultipartUpload?.Parts ?? [], uploaded, upload)
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  if (input.MpuObjectSize !== undefined && input.MpuObjectSize !== size) {
    throw invalidRequest(
      `The provided 'x-amz-mp-object-size' header value ${input.MpuObjectSize} does not match what was computed: ${size}`,
    )
  }
  const checksum = await objectChecksum(bucket, upload, parts)
  checkObjectChecksum(input, checksum)

  // From here to `add` nothing is awaited: see `commit`.
  if (
    parts.some((part) => bucket.uploads.find(upload.key, upload.uploadId).parts.get(part.number) !== part)
  ) {
    throw new ServiceError(
      409,
      'OperationAborted',
      'A part was replaced while the upload was being completed.',
    )
  }
  checkWrite(input, input.Key, bucket.versions.current(input.Key))
  const version = bucket.add({
    ...newObject(input.Key),
    // As in S3, the time at which the upload began.
    lastModified: upload.initiated,
    size,
    eTag: `${md5OfMd5s(parts)}-${parts.length}`,
    content: parts.map((part) => ({ id: part.id, size: part.size })),
    attributes: upload.attributes,
    tags: upload.tags,
    checksum,
    parts: parts.map(({ number, size, checksum }) => ({
      number,
      size,
      ...(upload.checksumType === 'COMPOSITE' ? { checksum } : {}),
    })),
  })
  bucket.uploads.end(upload, parts)
  await announce(call, bucket.name, 'ObjectCreated:CompleteMultipartUpload', version)
  return {
    ...writtenMembers(bucket, version),
    ...checksumMembers(checksum),
    Bucket: bucket.name,
    Key: input.Key,
    Location: `http://${call.request.headers.host}${call.request.path}`,
  }
}

function chooseParts(
  named: CompletedPart[],
  uploaded: ReadonlyMap<number, UploadedPart>,
  upload: Upload,
): UploadedPart[] {
  if (named.length === 0 || named.length > MAX_PARTS) throw malformedXml('it names no part, or too many')
  const parts = named.map((part) => findPart(part, uploaded, upload))
  parts.forEach((part, index) => {
    const next = parts[index + 1]
    if (next && next.number <= part.number) {
      throw new ServiceError(
        400,
        'InvalidPartOrder',
        'The list of parts was not in ascending order. Parts must be ordered by part number.',
      )
    }
    if (next && part.size < MIN_PART_SIZE) {
      throw new ServiceError(
        400,
        'EntityTooSmall',
        'Your proposed upload is smaller than the minimum allowed size',
        {
          ProposedSize: String(part.size),
          MinSizeAllowed: String(MIN_PART_SIZE),
          PartNumber: String(part.number),
        },
      )
    }
  })
  return parts
}

function findPart(
  named: CompletedPart,
  uploaded: ReadonlyMap<number, UploadedPart>,
  { algorithm, checksumType }: Upload,
): UploadedPart {
  const part = uploaded.get(named.PartNumber ?? 0)
  const eTag = named.ETag?.replace(/^"(.*)"$/, '$1')
  if (!part || part.md5 !== eTag) throw invalidPart(named)
  const value = named[`Checksum${part.checksum.algorithm}`]
  if (value === undefined && algorithm && checksumType === 'COMPOSITE') {
    throw invalidRequest(
      `The upload was created using a ${algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${named.PartNumber} in the request.`,
    )
  }
  if (value !== undefined && value !== part.checksum.value) throw invalidPart(named)
  return part
}

const invalidPart = ({ PartNumber, ETag = '' }: CompletedPart) =>
  new ServiceError(
    400,
    'InvalidPart',
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
    { PartNumber: String(PartNumber), ETag },
  )

async function objectChecksum(bucket: Bucket, upload: Upload, parts: UploadedPart[]): Promise<Checksum> {
  const { algorithm = 'CRC64NVME', checksumType } = upload
  if (checksumType === 'COMPOSITE') {
    return compositeChecksum(
      algorithm,
      parts.map((part) => part.checksum),
    )
  }
  const running = startChecksum(algorithm)
  for await (const chunk of bucket.blobs.read(parts)) running.update(chunk)
  const value = Buffer.from(await running.digest()).toString('base64')
  return { algorithm, value, type: 'FULL_OBJECT' }
}

function checkObjectChecksum(input: Keyed<CompleteMultipartUploadRequest>, computed: Checksum): void {
  const given = input[`Checksum${computed.algorithm}`]
  if (given === undefined || given.replace(/-\d+$/, '') === computed.value.replace(/-\d+$/, '')) return
  throw new ServiceError(
    400,
    'BadDigest',
    `The ${computed.algorithm} you specified did not match the calculated checksum.`,
  )
}

function md5OfMd5s(parts: UploadedPart[]): string {
  const hash = createHash('md5')
  for (const part of parts) hash.update(Buffer.from(part.md5, 'hex'))
  return hash.digest('hex')
}
