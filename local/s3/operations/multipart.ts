import type {
  AbortMultipartUploadRequest,
  CreateMultipartUploadOutput,
  CreateMultipartUploadRequest,
  UploadPartCopyOutput,
  UploadPartCopyRequest,
  UploadPartOutput,
  UploadPartRequest,
} from '@aws-sdk/client-s3'
import { readAttributes, readTagHeader } from '../attributes.ts'
import type { WrittenBlob } from '../blobs.ts'
import type { Bucket } from '../bucket.ts'
import type { Call, Keyed } from '../call.ts'
import { type Algorithm, announcedChecksum, type ChecksumType, readAlgorithm } from '../checksums.ts'
import { invalidArgument, invalidRequest } from '../errors.ts'
import { readRange } from '../range.ts'
import { checkKey, receiveBody } from '../receive.ts'
import { MAX_PARTS, type Upload, type UploadedPart } from '../uploads.ts'
import { findCopySource } from './copy.ts'

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

export function abortMultipartUpload(input: Keyed<AbortMultipartUploadRequest>, call: Call): object {
  const bucket = call.buckets.find(input.Bucket)
  const { upload } = bucket.uploads.find(input.Key, input.UploadId ?? '')
  bucket.uploads.end(upload)
  return {}
}
