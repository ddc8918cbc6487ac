import type { PutObjectRequest, Tag } from '@aws-sdk/client-s3'
import { ServiceError } from '../http/service.ts'
import { invalidArgument, invalidRequest, notImplemented } from './errors.ts'
import type { ObjectAttributes } from './versions.ts'

const KEPT = [
  'CacheControl',
  'ContentDisposition',
  'ContentLanguage',
  'ContentType',
  'WebsiteRedirectLocation',
  'SSEKMSKeyId',
  'BucketKeyEnabled',
] as const

const STORAGE_CLASSES = new Set([
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER',
  'DEEP_ARCHIVE',
  'GLACIER_IR',
])
const MAX_METADATA = 2048

type Described = Pick<
  PutObjectRequest,
  | (typeof KEPT)[number]
  | 'ACL'
  | 'ContentEncoding'
  | 'Expires'
  | 'Metadata'
  | 'ObjectLockMode'
  | 'ObjectLockLegalHoldStatus'
  | 'SSECustomerAlgorithm'
  | 'ServerSideEncryption'
  | 'StorageClass'
>

/** What an upload says about its object; refuses what it could not keep its word on. */
export function readAttributes(input: Described): ObjectAttributes {
  refuseUnsupported(input)
  const attributes: ObjectAttributes = {
    ...Object.fromEntries(KEPT.map((name) => [name, input[name]])),
    ServerSideEncryption: input.ServerSideEncryption ?? 'AES256',
    Metadata: checkMetadata(input.Metadata ?? {}),
  }
  const encodings = (input.ContentEncoding ?? '').split(',').map((name) => name.trim())
  const encoding = encodings.filter((name) => name && name !== 'aws-chunked').join(',')
  if (encoding) attributes.ContentEncoding = encoding
  if (input.Expires) attributes.Expires = new Date(input.Expires).toISOString()
  if (input.StorageClass && input.StorageClass !== 'STANDARD') attributes.StorageClass = input.StorageClass
  return attributes
}

function refuseUnsupported(input: Described): void {
  if (input.SSECustomerAlgorithm) throw notImplemented('x-amz-server-side-encryption-customer-algorithm')
  if (input.ObjectLockMode || input.ObjectLockLegalHoldStatus) {
    throw invalidRequest('Bucket is missing Object Lock Configuration')
  }
  if (input.ACL && input.ACL !== 'private' && input.ACL !== 'bucket-owner-full-control') {
    throw new ServiceError(400, 'AccessControlListNotSupported', 'The bucket does not allow ACLs')
  }
  if (input.StorageClass && !STORAGE_CLASSES.has(input.StorageClass)) {
    throw new ServiceError(400, 'InvalidStorageClass', 'The storage class you specified is not valid')
  }
  if (input.ServerSideEncryption && !/^(AES256|aws:kms(:dsse)?)$/.test(input.ServerSideEncryption)) {
    throw invalidArgument(
      'x-amz-server-side-encryption',
      input.ServerSideEncryption,
      'The encryption method specified is not supported',
    )
  }
}

function checkMetadata(metadata: Record<string, string>): Record<string, string> {
  const size = Object.entries(metadata).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  if (size <= MAX_METADATA) return metadata
  throw new ServiceError(
    400,
    'MetadataTooLarge',
    'Your metadata headers exceed the maximum allowed metadata size',
    { Size: String(size), MaxSizeAllowed: String(MAX_METADATA) },
  )
}

/** `x-amz-tagging: a=b&c=d` */
export function readTagHeader(text: string | undefined): Tag[] {
  return checkTags([...new URLSearchParams(text)].map(([Key, Value]) => ({ Key, Value })))
}

export function checkTags(tags: Tag[]): Tag[] {
  const invalid = (message: string) => new ServiceError(400, 'InvalidTag', message)
  if (tags.length > 10) throw new ServiceError(400, 'BadRequest', 'Object tags cannot be greater than 10')
  for (const { Key = '', Value = '' } of tags) {
    if (!Key || Key.length > 128) throw invalid('The TagKey you have provided is invalid')
    if (Value.length > 256) throw invalid('The TagValue you have provided is invalid')
  }
  if (new Set(tags.map((tag) => tag.Key)).size < tags.length) {
    throw invalid('Cannot provide multiple Tags with the same key')
  }
  return tags.map(({ Key, Value }) => ({ Key, Value: Value ?? '' }))
}
