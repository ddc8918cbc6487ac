import type {
  DeleteObjectTaggingRequest,
  GetObjectTaggingOutput,
  GetObjectTaggingRequest,
  PutObjectTaggingRequest,
} from '@aws-sdk/client-s3'
import { checkTags } from '../attributes.ts'
import type { Call, Keyed } from '../call.ts'
import { findVersion } from './get.ts'

export function getObjectTagging(input: Keyed<GetObjectTaggingRequest>, call: Call): GetObjectTaggingOutput {
  const { version, VersionId } = find(input, call)
  return { TagSet: version.tags, VersionId }
}

export function putObjectTagging(input: Keyed<PutObjectTaggingRequest>, call: Call) {
  const { bucket, version, VersionId } = find(input, call)
  bucket.versions.retag(version, checkTags(input.Tagging?.TagSet ?? []))
  return { VersionId }
}

export function deleteObjectTagging(input: Keyed<DeleteObjectTaggingRequest>, call: Call) {
  const { bucket, version, VersionId } = find(input, call)
  bucket.versions.retag(version, [])
  return { VersionId }
}

function find(input: Keyed<GetObjectTaggingRequest>, call: Call) {
  const bucket = call.buckets.find(input.Bucket)
  const version = findVersion(bucket, input.Key, input.VersionId)
  return { bucket, version, VersionId: bucket.versioning ? version.versionId : undefined }
}
