import { Readable } from 'node:stream'
import type {
  GetObjectAttributesOutput,
  GetObjectAttributesRequest,
  GetObjectRequest,
  HeadObjectRequest,
} from '@aws-sdk/client-s3'
import { ServiceError } from '../../http/service.ts'
import type { Bucket } from '../bucket.ts'
import type { Call, Keyed } from '../call.ts'
import { checksumMembers } from '../checksums.ts'
import { checkRead } from '../conditions.ts'
import { invalidArgument, invalidRequest, noSuchKey, noSuchVersion } from '../errors.ts'
import { type ByteRange, readRange } from '../range.ts'
import type { ObjectVersion } from '../versions.ts'

export function getObject(input: Keyed<GetObjectRequest>, call: Call): object {
  const bucket = call.buckets.find(input.Bucket)
  const version = findVersion(bucket, input.Key, input.VersionId)
  const output = headObject(input, call)
  const { start, end } = askedRange(input, version) ?? { start: 0, end: version.size - 1 }
  return { ...output, Body: Readable.from(bucket.blobs.read(version.content, start, end)) }
}

export function headObject(input: Keyed<HeadObjectRequest>, call: Call): object {
  const bucket = call.buckets.find(input.Bucket)
  const version = findVersion(bucket, input.Key, input.VersionId)
  checkRead(input, version)
  const range = askedRange(input, version)
  return {
    ...describe(bucket, version),
    ...overrides(input),
    ...(input.ChecksumMode === 'ENABLED' && !range ? checksumMembers(version.checksum) : {}),
    ...(range ? rangeMembers(range, version) : {}),
    ...(input.PartNumber === undefined ? {} : { PartsCount: version.parts?.length }),
  }
}

export function getObjectAttributes(
  input: Keyed<GetObjectAttributesRequest>,
  call: Call,
): GetObjectAttributesOutput {
  const bucket = call.buckets.find(input.Bucket)
  const version = findVersion(bucket, input.Key, input.VersionId)
  const asked = new Set<string>(input.ObjectAttributes)
  const parts = version.parts?.map(({ number, size, checksum }) => ({
    PartNumber: number,
    Size: size,
    ...(checksum ? { [`Checksum${checksum.algorithm}`]: checksum.value } : {}),
  }))
  return {
    LastModified: new Date(version.lastModified),
    VersionId: bucket.versioning ? version.versionId : undefined,
    ETag: asked.has('ETag') ? version.eTag : undefined,
    ObjectSize: asked.has('ObjectSize') ? version.size : undefined,
    StorageClass: asked.has('StorageClass') ? 'STANDARD' : undefined,
    Checksum: asked.has('Checksum') ? checksumMembers(version.checksum) : undefined,
    ObjectParts:
      asked.has('ObjectParts') && parts ? { TotalPartsCount: parts.length, Parts: parts } : undefined,
  }
}

/** Delete markers cannot be read: 404 where one is the newest version, 405 where one is asked for by its id. */
export function findVersion(bucket: Bucket, key: string, versionId?: string): ObjectVersion {
  const versions = bucket.versions.of(key)
  const version = versionId === undefined ? versions[0] : versions.find((one) => one.versionId === versionId)
  if (!version && versionId === undefined) throw noSuchKey(key)
  if (!version) {
    if (/^([0-9a-f]{32}|null)$/.test(versionId ?? '')) throw noSuchVersion(key, versionId ?? '')
    throw invalidArgument('versionId', versionId, 'Invalid version id specified')
  }
  if (!version.isDeleteMarker) return version
  const detail = { Key: key, DeleteMarker: 'true' }
  if (versionId === undefined) {
    throw new ServiceError(404, 'NoSuchKey', 'The specified key does not exist.', detail)
  }
  throw new ServiceError(
    405,
    'MethodNotAllowed',
    'The specified method is not allowed against this resource.',
    detail,
  )
}

function describe(bucket: Bucket, version: ObjectVersion) {
  const { Expires, ...attributes } = version.attributes
  return {
    ContentType: 'binary/octet-stream',
    ...definedOnly(attributes),
    ...(Expires ? { Expires: new Date(Expires) } : {}),
    AcceptRanges: 'bytes',
    ContentLength: version.size,
    ETag: `"${version.eTag}"`,
    LastModified: new Date(version.lastModified),
    VersionId: bucket.versioning ? version.versionId : undefined,
    TagCount: version.tags.length || undefined,
  }
}

function overrides(input: Keyed<GetObjectRequest | HeadObjectRequest>) {
  return definedOnly({
    CacheControl: input.ResponseCacheControl,
    ContentDisposition: input.ResponseContentDisposition,
    ContentEncoding: input.ResponseContentEncoding,
    ContentLanguage: input.ResponseContentLanguage,
    ContentType: input.ResponseContentType,
    Expires: input.ResponseExpires,
  })
}

function askedRange(input: Keyed<HeadObjectRequest>, version: ObjectVersion): ByteRange | undefined {
  if (input.PartNumber === undefined) return readRange(input.Range, version.size)
  if (input.Range) throw invalidRequest('Cannot specify both Range header and partNumber query parameter')
  const parts = version.parts ?? [{ number: 1, size: version.size }]
  const index = parts.findIndex((part) => part.number === input.PartNumber)
  if (index < 0) {
    throw new ServiceError(416, 'InvalidPartNumber', 'The requested partnumber is not satisfiable')
  }
  const start = parts.slice(0, index).reduce((sum, part) => sum + part.size, 0)
  return { start, end: start + (parts[index]?.size ?? 0) - 1 }
}

function rangeMembers({ start, end }: ByteRange, { size }: ObjectVersion) {
  return { $status: 206, ContentLength: end - start + 1, ContentRange: `bytes ${start}-${end}/${size}` }
}

function definedOnly<T extends object>(members: T): Partial<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>
}
