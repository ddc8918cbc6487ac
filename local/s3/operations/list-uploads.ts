import type {
  ListMultipartUploadsOutput,
  ListMultipartUploadsRequest,
  ListPartsOutput,
  ListPartsRequest,
} from '@aws-sdk/client-s3'
import type { Call, Keyed, OfBucket } from '../call.ts'
import { isAfter, keyEncoder, readLimit, readPage } from '../page.ts'
import { compareBytes } from '../versions.ts'

export function listMultipartUploads(
  input: OfBucket<ListMultipartUploadsRequest>,
  call: Call,
): ListMultipartUploadsOutput {
  const bucket = call.buckets.find(input.Bucket)
  const { Prefix: prefix = '', Delimiter: delimiter, KeyMarker = '', UploadIdMarker = '' } = input
  const limit = readLimit('max-uploads', input.MaxUploads)
  const uploads = bucket.uploads
    .list()
    .sort((a, b) => compareBytes(a.key, b.key) || compareBytes(a.uploadId, b.uploadId))
    .filter(
      ({ key, uploadId }) =>
        isAfter(key, KeyMarker) || (key === KeyMarker && UploadIdMarker && uploadId > UploadIdMarker),
    )
  const page = readPage(uploads, { prefix, delimiter, after: KeyMarker, limit })
  const encode = keyEncoder(input.EncodingType)
  const lastItem = page.items.at(-1)
  return {
    Bucket: bucket.name,
    Prefix: encode(prefix),
    Delimiter: delimiter && encode(delimiter),
    KeyMarker: encode(KeyMarker),
    UploadIdMarker,
    MaxUploads: limit,
    EncodingType: input.EncodingType,
    IsTruncated: page.isTruncated,
    Uploads: page.items.map((upload) => ({
      Key: encode(upload.key),
      UploadId: upload.uploadId,
      Initiated: new Date(upload.initiated),
      StorageClass: 'STANDARD',
      Owner: { ID: call.account },
      Initiator: { ID: call.account },
      ChecksumAlgorithm: upload.algorithm,
      ChecksumType: upload.checksumType,
    })),
    CommonPrefixes: page.commonPrefixes.map((group) => ({ Prefix: encode(group) })),
    NextKeyMarker: page.isTruncated ? encode(page.last) : undefined,
    NextUploadIdMarker: page.isTruncated && page.last === lastItem?.key ? lastItem.uploadId : undefined,
  }
}

export function listParts(input: Keyed<ListPartsRequest>, call: Call): ListPartsOutput {
  const bucket = call.buckets.find(input.Bucket)
  const { upload } = bucket.uploads.find(input.Key, input.UploadId ?? '')
  const marker = Number(input.PartNumberMarker ?? 0)
  const limit = readLimit('max-parts', input.MaxParts)
  const rest = bucket.uploads.partsOf(upload).filter((part) => part.number > marker)
  const parts = rest.slice(0, limit)
  const isTruncated = rest.length > parts.length
  return {
    Bucket: bucket.name,
    Key: input.Key,
    UploadId: upload.uploadId,
    PartNumberMarker: String(marker),
    MaxParts: limit,
    IsTruncated: isTruncated,
    NextPartNumberMarker: isTruncated ? String(parts.at(-1)?.number ?? marker) : undefined,
    StorageClass: 'STANDARD',
    Owner: { ID: call.account },
    Initiator: { ID: call.account },
    ChecksumAlgorithm: upload.algorithm,
    ChecksumType: upload.checksumType,
    Parts: parts.map((part) => ({
      PartNumber: part.number,
      LastModified: new Date(part.lastModified),
      ETag: `"${part.md5}"`,
      Size: part.size,
      ...(upload.algorithm ? { [`Checksum${upload.algorithm}`]: part.checksum.value } : {}),
    })),
  }
}
