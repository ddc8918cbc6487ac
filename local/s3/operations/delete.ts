import type {
  DeletedObject,
  _Error as DeleteError,
  DeleteObjectOutput,
  DeleteObjectRequest,
  DeleteObjectsOutput,
  DeleteObjectsRequest,
} from '@aws-sdk/client-s3'
import { ServiceError } from '../../http/service.ts'
import type { Bucket } from '../bucket.ts'
import type { Call, Keyed, OfBucket } from '../call.ts'
import { checkDelete } from '../conditions.ts'
import { malformedXml } from '../errors.ts'
import { newObject } from './put.ts'

export function deleteObject(input: Keyed<DeleteObjectRequest>, call: Call): DeleteObjectOutput {
  const bucket = call.buckets.find(input.Bucket)
  checkDelete(input.IfMatch, bucket.versions.current(input.Key))
  return remove(bucket, input.Key, input.VersionId)
}

export function deleteObjects(input: OfBucket<DeleteObjectsRequest>, call: Call): DeleteObjectsOutput {
  const bucket = call.buckets.find(input.Bucket)
  const objects = input.Delete?.Objects ?? []
  if (objects.length === 0 || objects.length > 1000) throw malformedXml('1 to 1000 objects may be named')
  const Deleted: DeletedObject[] = []
  const Errors: DeleteError[] = []
  for (const { Key = '', VersionId, ETag } of objects) {
    try {
      checkDelete(ETag, bucket.versions.current(Key))
      const { DeleteMarker, VersionId: id } = remove(bucket, Key, VersionId)
      const marker = DeleteMarker ? { DeleteMarker, DeleteMarkerVersionId: id } : {}
      Deleted.push({ Key, ...(VersionId === undefined ? {} : { VersionId }), ...marker })
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      Errors.push({ Key, VersionId, Code: error.code, Message: error.message })
    }
  }
  return input.Delete?.Quiet ? { Errors } : { Deleted, Errors }
}

/** Deleting what is not there succeeds. */
function remove(bucket: Bucket, key: string, versionId: string | undefined): DeleteObjectOutput {
  if (versionId !== undefined) return removeVersion(bucket, key, versionId)
  if (bucket.versioning) {
    const marker = bucket.add({
      ...newObject(key),
      isDeleteMarker: true,
      size: 0,
      eTag: '',
      content: [],
      attributes: {},
      tags: [],
    })
    return { DeleteMarker: true, VersionId: marker.versionId }
  }
  const current = bucket.versions.current(key)
  if (current) bucket.versions.remove(current)
  return {}
}

function removeVersion(bucket: Bucket, key: string, versionId: string): DeleteObjectOutput {
  const version = bucket.versions.of(key).find((one) => one.versionId === versionId)
  if (version) bucket.versions.remove(version)
  return { VersionId: versionId, ...(version?.isDeleteMarker ? { DeleteMarker: true } : {}) }
}
