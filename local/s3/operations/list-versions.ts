import type { ListObjectVersionsOutput, ListObjectVersionsRequest } from '@aws-sdk/client-s3'
import type { Bucket } from '../bucket.ts'
import type { Call, OfBucket } from '../call.ts'
import { invalidArgument } from '../errors.ts'
import { isAfter, keyEncoder, readLimit, readPage } from '../page.ts'
import type { ObjectVersion } from '../versions.ts'
import { listed } from './list-objects.ts'

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
