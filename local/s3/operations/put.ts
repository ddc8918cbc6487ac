import type { PutObjectOutput, PutObjectRequest } from '@aws-sdk/client-s3'
import { readAttributes, readTagHeader } from '../attributes.ts'
import type { Bucket } from '../bucket.ts'
import { announce, type Call, type Keyed } from '../call.ts'
import { checksumMembers } from '../checksums.ts'
import { checkWrite, type WriteCondition } from '../conditions.ts'
import { notImplemented } from '../errors.ts'
import { checkKey, receiveBody } from '../receive.ts'
import type { ObjectVersion, VersionDraft } from '../versions.ts'

export async function putObject(input: Keyed<PutObjectRequest>, call: Call): Promise<PutObjectOutput> {
  const bucket = call.buckets.find(input.Bucket)
  checkKey(input.Key)
  if (input.WriteOffsetBytes !== undefined) throw notImplemented('x-amz-write-offset-bytes')
  const attributes = readAttributes(input)
  const tags = readTagHeader(input.Tagging)
  // Once here to spare the upload, and once more when the object is committed.
  checkWrite(input, input.Key, bucket.versions.current(input.Key))

  const { id, size, md5, checksum } = await receiveBody(bucket, call.request)
  const version = commit(bucket, input, {
    ...newObject(input.Key),
    size,
    eTag: md5,
    content: [{ id, size }],
    attributes,
    tags,
    checksum,
  })
  await announce(call, bucket.name, 'ObjectCreated:Put', version)
  return { ...writtenMembers(bucket, version), ...checksumMembers(checksum), Size: size }
}

export function newObject(key: string) {
  return { key, lastModified: new Date().toISOString(), isDeleteMarker: false }
}

/** Check and write in one go: nothing may be awaited in here, or two writers could both pass the check. */
export function commit(bucket: Bucket, condition: WriteCondition, draft: VersionDraft): ObjectVersion {
  try {
    checkWrite(condition, draft.key, bucket.versions.current(draft.key))
  } catch (error) {
    bucket.blobs.remove(draft.content)
    throw error
  }
  return bucket.add(draft)
}

export function writtenMembers(bucket: Bucket, { eTag, versionId, attributes }: ObjectVersion) {
  const { ServerSideEncryption, SSEKMSKeyId } = attributes
  return {
    ETag: `"${eTag}"`,
    VersionId: bucket.versioning ? versionId : undefined,
    ServerSideEncryption: ServerSideEncryption as PutObjectOutput['ServerSideEncryption'],
    SSEKMSKeyId,
  }
}
