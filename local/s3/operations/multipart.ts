import { createHash } from 'node:crypto'
import type {
  AbortMultipartUploadRequest,
  CompletedPart,
  CompleteMultipartUploadOutput,
  CompleteMultipartUploadRequest,
  CreateMultipartUploadOutput,
  CreateMultipartUploadRequest,
  UploadPartCopyOutput,
  UploadPartCopyRequest,
  UploadPartOutput,
  UploadPartRequest,
} from '@aws-sdk/client-s3'
import { ServiceError } from '../../http/service.ts'
import { readAttributes, readTagHeader } from '../attributes.ts'
import type { WrittenBlob } from '../blobs.ts'
import type { Bucket } from '../bucket.ts'
import { announce, type Call, type Keyed } from '../call.ts'
import {
  type Algorithm,
  announcedChecksum,
  type Checksum,
  type ChecksumType,
  checksumMembers,
  compositeChecksum,
  readAlgorithm,
  startChecksum,
} from '../checksums.ts'
import { checkWrite } from '../conditions.ts'
import { invalidArgument, invalidRequest, malformedXml } from '../errors.ts'
import { readRange } from '../range.ts'
import { checkKey, receiveBody } from '../receive.ts'
import type { Upload, UploadedPart } from '../uploads.ts'
import { findCopySource } from './copy.ts'
import { newObject, writtenMembers } from './put.ts'

const MAX_PARTS = 10_000
const MIN_PART_SIZE = 5 * 1024 * 1024

export function createMultipartUpload(
  input: Keyed<CreateMultipartUploadRequest>,
  call: Call,
): CreateMultipartUploadOutput {
  const bucket = call.buckets.find(input.Bucket)
  checkKey(input.Key)
  const chosen = input.ChecksumAlgorithm
    ? readChecksumChoice(readAlgorithm(input.ChecksumAlgorithm), input.ChecksumType)
    : undefined
  const upload = bucket.uploads.begin({
    key: input.Key,
    attributes: readAttributes(input),
    tags: readTagHeader(input.Tagging),
    ...chosen,
  })
  return {
    Bucket: bucket.name,
    Key: input.Key,
    UploadId: upload.uploadId,
    ServerSideEncryption: input.ServerSideEncryption ?? 'AES256',
    ChecksumAlgorithm: chosen?.algorithm,
    ChecksumType: chosen?.checksumType,
  }
}

/** CRC64NVME exists for whole objects only, SHA for parts only; the other two for both. */
function readChecksumChoice(algorithm: Algorithm, type: string | undefined) {
  const checksumType = (type ?? (algorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE')) as ChecksumType
  const isPossible =
    checksumType === 'COMPOSITE'
      ? algorithm !== 'CRC64NVME'
      : checksumType === 'FULL_OBJECT' && !/^SHA/.test(algorithm)
  if (isPossible) return { algorithm, checksumType }
  throw invalidRequest(
    `The ${checksumType} checksum type cannot be used with the ${algorithm.toLowerCase()} checksum algorithm.`,
  )
}

export async function uploadPart(input: Keyed<UploadPartRequest>, call: Call): Promise<UploadPartOutput> {
  const bucket = call.buckets.find(input.Bucket)
  const number = checkPartNumber(input.PartNumber)
  const { upload } = bucket.uploads.find(input.Key, input.UploadId ?? '')
  const announced = announcedChecksum(call.request)
  checkPartAlgorithm(upload, announced?.algorithm)
  const blob = await receiveBody(bucket, call.request)
  addPart(bucket, upload, number, blob)
  return {
    ETag: `"${blob.md5}"`,
    ServerSideEncryption: 'AES256',
    ...(announced ? { [`Checksum${announced.algorithm}`]: blob.checksum.value } : {}),
  }
}

/** Where the upload named no algorithm, each part may have its own: the SDK's defaults lead to that. */
function checkPartAlgorithm({ algorithm, checksumType }: Upload, given: Algorithm | undefined): void {
  if (given === algorithm || !algorithm) return
  if (given === undefined && checksumType === 'FULL_OBJECT') return
  const [expected, actual] = [algorithm, given].map((name) => name?.toLowerCase() ?? 'null')
  throw invalidRequest(
    `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual}`,
  )
}

export async function uploadPartCopy(
  input: Keyed<UploadPartCopyRequest>,
  call: Call,
): Promise<UploadPartCopyOutput> {
  const bucket = call.buckets.find(input.Bucket)
  const number = checkPartNumber(input.PartNumber)
  const { upload } = bucket.uploads.find(input.Key, input.UploadId ?? '')
  const source = findCopySource(input, call)
  const range = readRange(input.CopySourceRange, source.version.size)
  if (input.CopySourceRange && (!range || range.end - range.start < 0)) {
    throw invalidArgument(
      'x-amz-copy-source-range',
      input.CopySourceRange,
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    )
  }
  const bytes = source.bucket.blobs.read(source.version.content, range?.start, range?.end)
  const blob = await bucket.blobs.write(bytes, upload.algorithm ?? 'CRC64NVME')
  const part = addPart(bucket, upload, number, blob)
  return {
    CopySourceVersionId: source.bucket.versioning ? source.version.versionId : undefined,
    CopyPartResult: {
      ETag: `"${blob.md5}"`,
      LastModified: new Date(part.lastModified),
      ...(upload.algorithm ? { [`Checksum${upload.algorithm}`]: blob.checksum.value } : {}),
    },
  }
}

function checkPartNumber(number: number | undefined): number {
  if (number !== undefined && Number.isInteger(number) && number >= 1 && number <= MAX_PARTS) return number
  throw invalidArgument(
    'partNumber',
    number,
    `Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`,
  )
}

/** The upload may have ended while the part was on its way. */
function addPart(bucket: Bucket, upload: Upload, number: number, blob: WrittenBlob): UploadedPart {
  const part = { ...blob, number, lastModified: new Date().toISOString() }
  try {
    bucket.uploads.addPart(upload, part)
  } catch (error) {
    bucket.blobs.remove([blob])
    throw error
  }
  return part
}

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

export function abortMultipartUpload(input: Keyed<AbortMultipartUploadRequest>, call: Call): object {
  const bucket = call.buckets.find(input.Bucket)
  const { upload } = bucket.uploads.find(input.Key, input.UploadId ?? '')
  bucket.uploads.end(upload)
  return {}
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
