import type { CopyObjectOutput, CopyObjectRequest } from '@aws-sdk/client-s3'
import { readAttributes, readTagHeader } from '../attributes.ts'
import type { Bucket } from '../bucket.ts'
import { announce, type Call, type Keyed } from '../call.ts'
import { checksumMembers, readAlgorithm } from '../checksums.ts'
import { checkCopySource, checkWrite } from '../conditions.ts'
import { invalidArgument, invalidRequest } from '../errors.ts'
import { checkKey } from '../receive.ts'
import type { ObjectVersion } from '../versions.ts'
import { findVersion } from './get.ts'
import { commit, newObject, writtenMembers } from './put.ts'

export async function copyObject(input: Keyed<CopyObjectRequest>, call: Call): Promise<CopyObjectOutput> {
  const bucket = call.buckets.find(input.Bucket)
  checkKey(input.Key)
  const source = findCopySource(input, call)
  const isReplacing = readDirective('x-amz-metadata-directive', input.MetadataDirective)
  const isRetagging = readDirective('x-amz-tagging-directive', input.TaggingDirective)
  if (source.bucket === bucket && source.version.key === input.Key && !isReplacing && !source.isOld) {
    throw invalidRequest(
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    )
  }
  checkWrite(input, input.Key, bucket.versions.current(input.Key))
  const attributes = isReplacing ? readAttributes(input) : source.version.attributes
  const tags = isRetagging ? readTagHeader(input.Tagging) : source.version.tags

  const wanted = input.ChecksumAlgorithm ? readAlgorithm(input.ChecksumAlgorithm) : undefined
  const algorithm = wanted ?? source.version.checksum?.algorithm ?? 'CRC64NVME'
  const bytes = source.bucket.blobs.read(source.version.content)
  const { id, size, md5, checksum } = await bucket.blobs.write(bytes, algorithm)
  const version = commit(bucket, input, {
    ...newObject(input.Key),
    size,
    eTag: md5,
    content: [{ id, size }],
    attributes,
    tags,
    checksum,
  })
  await announce(call, bucket.name, 'ObjectCreated:Copy', version)
  const { ETag, ...members } = writtenMembers(bucket, version)
  return {
    ...members,
    CopySourceVersionId: source.bucket.versioning ? source.version.versionId : undefined,
    CopyObjectResult: { ETag, LastModified: new Date(version.lastModified), ...checksumMembers(checksum) },
  }
}

export interface CopySource {
  bucket: Bucket
  version: ObjectVersion
  /** Named by a version id that is not the newest: copying it onto its own key restores it. */
  isOld: boolean
}

type CopyConditions = Pick<
  CopyObjectRequest,
  | 'CopySource'
  | 'CopySourceIfMatch'
  | 'CopySourceIfNoneMatch'
  | 'CopySourceIfModifiedSince'
  | 'CopySourceIfUnmodifiedSince'
>

export function findCopySource(input: CopyConditions, call: Call): CopySource {
  const [, name = '', key = '', versionId] =
    /^\/?([^/]+)\/(.+?)(?:\?versionId=([^?]*))?$/s.exec(input.CopySource ?? '') ?? []
  if (!name) throw invalidCopySource(input.CopySource)
  const bucket = call.buckets.find(name)
  const version = findVersion(bucket, decodeKey(key, input.CopySource), versionId)
  checkCopySource(
    {
      IfMatch: input.CopySourceIfMatch,
      IfNoneMatch: input.CopySourceIfNoneMatch,
      IfModifiedSince: input.CopySourceIfModifiedSince,
      IfUnmodifiedSince: input.CopySourceIfUnmodifiedSince,
    },
    version,
  )
  return { bucket, version, isOld: bucket.versions.of(version.key)[0] !== version }
}

function decodeKey(key: string, source: string | undefined): string {
  try {
    return decodeURIComponent(key)
  } catch {
    throw invalidCopySource(source)
  }
}

const invalidCopySource = (source: string | undefined) =>
  invalidArgument(
    'x-amz-copy-source',
    source,
    'Copy Source must mention the source bucket and key: sourcebucket/sourcekey',
  )

function readDirective(header: string, directive = 'COPY'): boolean {
  if (directive === 'COPY') return false
  if (directive === 'REPLACE') return true
  throw invalidArgument(header, directive, `Unknown directive in ${header}.`)
}
