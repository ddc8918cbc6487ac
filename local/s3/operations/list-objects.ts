import type {
  _Object as ListedObject,
  ListObjectsOutput,
  ListObjectsRequest,
  ListObjectsV2Output,
  ListObjectsV2Request,
} from '@aws-sdk/client-s3'
import type { Bucket } from '../bucket.ts'
import type { Call, OfBucket } from '../call.ts'
import { invalidArgument } from '../errors.ts'
import { isAfter, keyEncoder, readLimit, readPage } from '../page.ts'
import type { ObjectVersion } from '../versions.ts'

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

export function listed(version: ObjectVersion, encode: (key: string) => string) {
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

function readToken(token: string): string {
  const after = Buffer.from(token, 'base64').toString()
  if (after && Buffer.from(after).toString('base64') === token) return after
  throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect')
}
