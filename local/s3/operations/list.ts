import type {
  _Object as ListedObject,
  ListMultipartUploadsOutput,
  ListMultipartUploadsRequest,
  ListObjectsOutput,
  ListObjectsRequest,
  ListObjectsV2Output,
  ListObjectsV2Request,
  ListObjectVersionsOutput,
  ListObjectVersionsRequest,
  ListPartsOutput,
  ListPartsRequest,
} from '@aws-sdk/client-s3'
import type { Bucket } from '../bucket.ts'
import type { Call, Keyed, OfBucket } from '../call.ts'
import { invalidArgument } from '../errors.ts'
import { isAfter, keyEncoder, readLimit, readPage } from '../page.ts'
import { compareBytes, type ObjectVersion } from '../versions.ts'

export function listObjectsV2(input: OfBucket<ListObjectsV2Request>, call: Call): ListObjectsV2Output {
  const { ContinuationToken, StartAfter } = input
  const after = ContinuationToken === undefined ? (StartAfter ?? '') : readToken(ContinuationToken)
  const { page, ...members } = listCurrent(input, call, after, input.FetchOwner ?? false)
  return {
    ...members,
    KeyCount: page.items.length + page.commonPrefixes.length,
    ContinuationToken,
    StartAfter: StartAfter === undefined ? undefined : keyEncoder(input.EncodingType)(StartAfter),
    NextContinuationToken: page.isTruncated ? Buffer.from(page.last).toString('base64') : undefined,
  }
}

export function listObjects(input: OfBucket<ListObjectsRequest>, call: Call): ListObjectsOutput {
  const { page, ...members } = listCurrent(input, call, input.Marker ?? '', true)
  const encode = keyEncoder(input.EncodingType)
  const hasNextMarker = page.isTruncated && input.Delimiter
  return {
    ...members,
    Marker: encode(input.Marker ?? ''),
    NextMarker: hasNextMarker ? encode(page.last) : undefined,
  }
}

type CurrentRequest = Pick<
  OfBucket<ListObjectsRequest>,
  'Bucket' | 'Prefix' | 'Delimiter' | 'MaxKeys' | 'EncodingType'
>

function listCurrent(input: CurrentRequest, call: Call, after: string, hasOwner: boolean) {
  const bucket = call.buckets.find(input.Bucket)
  const { Prefix: prefix = '', Delimiter: delimiter } = input
  const limit = readLimit('max-keys', input.MaxKeys)
  const page = readPage(currentObjects(bucket, after), { prefix, delimiter, after, limit })
  const encode = keyEncoder(input.EncodingType)
  const owner = hasOwner ? { Owner: { ID: call.account } } : {}
  return {
    page,
    Name: bucket.name,
    Prefix: encode(prefix),
    Delimiter: delimiter && encode(delimiter),
    MaxKeys: limit,
    EncodingType: input.EncodingType,
    IsTruncated: page.isTruncated,
    Contents: page.items.map((version): ListedObject => ({ ...listed(version, encode), ...owner })),
    CommonPrefixes: page.commonPrefixes.map((group) => ({ Prefix: encode(group) })),
  }
}

function* currentObjects(bucket: Bucket, after: string): Generator<ObjectVersion> {
  for (const key of bucket.versions.keys()) {
    const current = isAfter(key, after) ? bucket.versions.current(key) : undefined
    if (current) yield current
  }
}

function listed(version: ObjectVersion, encode: (key: string) => string) {
  return {
    Key: encode(version.key),
    LastModified: new Date(version.lastModified),
    ETag: `"${version.eTag}"`,
    Size: version.size,
    StorageClass: (version.attributes.StorageClass ?? 'STANDARD') as 'STANDARD',
    ...(version.checksum
      ? { ChecksumAlgorithm: [version.checksum.algorithm], ChecksumType: version.checksum.type }
      : {}),
  }
}

export function listObjectVersions(
  input: OfBucket<ListObjectVersionsRequest>,
  call: Call,
): ListObjectVersionsOutput {
  const bucket = call.buckets.find(input.Bucket)
  const { Prefix: prefix = '', Delimiter: delimiter, KeyMarker = '', VersionIdMarker } = input
  if (VersionIdMarker && !KeyMarker) {
    throw invalidArgument(
      'version-id-marker',
      VersionIdMarker,
      'A version-id marker cannot be specified without a key marker.',
    )
  }
  const limit = readLimit('max-keys', input.MaxKeys)
  const entries = versionsAfter(bucket, KeyMarker, VersionIdMarker)
  const page = readPage(entries, { prefix, delimiter, after: KeyMarker, limit })
  const encode = keyEncoder(input.EncodingType)
  const lastItem = page.items.at(-1)
  const entry = (version: ObjectVersion) => ({
    Key: encode(version.key),
    VersionId: version.versionId,
    IsLatest: bucket.versions.of(version.key)[0] === version,
    LastModified: new Date(version.lastModified),
    Owner: { ID: call.account },
  })
  return {
    Name: bucket.name,
    Prefix: encode(prefix),
    Delimiter: delimiter && encode(delimiter),
    KeyMarker: encode(KeyMarker),
    VersionIdMarker,
    MaxKeys: limit,
    EncodingType: input.EncodingType,
    IsTruncated: page.isTruncated,
    Versions: page.items
      .filter((version) => !version.isDeleteMarker)
      .map((version) => ({ ...listed(version, encode), ...entry(version) })),
    DeleteMarkers: page.items.filter((version) => version.isDeleteMarker).map(entry),
    CommonPrefixes: page.commonPrefixes.map((group) => ({ Prefix: encode(group) })),
    NextKeyMarker: page.isTruncated ? encode(page.last) : undefined,
    NextVersionIdMarker: page.isTruncated && page.last === lastItem?.key ? lastItem.versionId : undefined,
  }
}

function* versionsAfter(bucket: Bucket, keyMarker: string, idMarker?: string): Generator<ObjectVersion> {
  for (const key of bucket.versions.keys()) {
    const versions = bucket.versions.of(key)
    if (isAfter(key, keyMarker)) yield* versions
    else if (key === keyMarker && idMarker) {
      const seen = versions.findIndex((version) => version.versionId === idMarker)
      if (seen >= 0) yield* versions.slice(seen + 1)
    }
  }
}

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

function readToken(token: string): string {
  const after = Buffer.from(token, 'base64').toString()
  if (after && Buffer.from(after).toString('base64') === token) return after
  throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect')
}
