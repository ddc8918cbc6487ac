import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { startS3 } from './s3-endpoint.ts'

const object = { Bucket: 'plain', Key: 'k' }
const versioned = { Bucket: 'versioned', Key: 'k' }

test.each([
  ['NoSuchBucket', new PutObjectCommand({ ...object, Bucket: 'absent', Body: 'x' })],
  ['InvalidBucketName', new CreateBucketCommand({ Bucket: 'ab..cd' })],
  ['BucketAlreadyOwnedByYou', new CreateBucketCommand({ Bucket: 'plain' })],
  ['KeyTooLongError', new PutObjectCommand({ ...object, Key: 'k'.repeat(1025), Body: 'x' })],
  ['MetadataTooLarge', new PutObjectCommand({ ...object, Body: 'x', Metadata: { a: 'b'.repeat(2048) } })],
  ['InvalidStorageClass', new PutObjectCommand({ ...object, Body: 'x', StorageClass: 'COLD' as 'GLACIER' })],
  ['AccessControlListNotSupported', new PutObjectCommand({ ...object, Body: 'x', ACL: 'public-read' })],
  ['NotImplemented', new PutObjectCommand({ ...object, Body: 'x', IfNoneMatch: '"tag"' })],
  ['InvalidDigest', new PutObjectCommand({ ...object, Body: 'x', ContentMD5: 'short' })],
  ['InvalidTag', new PutObjectCommand({ ...object, Body: 'x', Tagging: 'a=1&a=2' })],
  ['NoSuchKey', new CopyObjectCommand({ ...object, CopySource: 'plain/absent' })],
  ['InvalidArgument', new CopyObjectCommand({ ...object, CopySource: 'nonsense' })],
  ['NoSuchVersion', new GetObjectCommand({ ...versioned, VersionId: 'a'.repeat(32) })],
  ['InvalidArgument', new GetObjectCommand({ ...versioned, VersionId: 'nonsense' })],
  ['PreconditionFailed', new DeleteObjectCommand({ ...object, IfMatch: '*' })],
  ['InvalidArgument', new ListObjectVersionsCommand({ Bucket: 'plain', VersionIdMarker: 'x' })],
  ['MalformedPolicy', new PutBucketPolicyCommand({ Bucket: 'plain', Policy: '{}' })],
  [
    'IllegalVersioningConfigurationException',
    new PutBucketVersioningCommand({ Bucket: 'plain', VersioningConfiguration: {} }),
  ],
  ['NotImplemented', new PutObjectAclCommand({ ...object, ACL: 'private' })],
  ['NoSuchUpload', new UploadPartCommand({ ...object, UploadId: 'x', PartNumber: 1, Body: 'x' })],
  ['InvalidArgument', new UploadPartCommand({ ...object, UploadId: 'x', PartNumber: 10_001, Body: 'x' })],
  ['AccessDenied', new GetObjectCommand({ ...object, ExpectedBucketOwner: '111111111111' })],
])('%s: %o', async (code, command) => {
  const { client } = await startS3()
  await expect(client.send(command as GetObjectCommand)).rejects.toMatchObject({ name: code })
})

test.each([
  ['InvalidPart', [{ PartNumber: 3, ETag: '"x"' }]],
  ['InvalidPart', [{ PartNumber: 1, ETag: '"x"' }]],
  ['MalformedXML', []],
])('completing an upload with parts that it does not have fails with %s', async (code, Parts) => {
  const { client } = await startS3()
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(object))
  await client.send(new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: 'x' }))
  const complete = new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } })
  await expect(client.send(complete)).rejects.toMatchObject({ name: code })
})

test.each([
  ['EntityTooSmall', [1, 2]],
  ['InvalidPartOrder', [2, 1]],
])('completing an upload of two small parts in the order %2$s fails with %s', async (code, order) => {
  const { client } = await startS3()
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(object))
  const parts = new Map<number, { PartNumber: number; ETag: string | undefined }>()
  for (const PartNumber of [1, 2]) {
    const { ETag } = await client.send(new UploadPartCommand({ ...object, UploadId, PartNumber, Body: 'x' }))
    parts.set(PartNumber, { PartNumber, ETag })
  }
  const Parts = order.flatMap((number) => parts.get(number) ?? [])
  const complete = new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } })
  await expect(client.send(complete)).rejects.toMatchObject({ name: code })
})

test('a part without the checksum that its upload announced is refused', async () => {
  const { client, connect } = await startS3()
  const begin = new CreateMultipartUploadCommand({ ...object, ChecksumAlgorithm: 'SHA256' })
  const { UploadId } = await client.send(begin)
  const plain = connect({ requestChecksumCalculation: 'WHEN_REQUIRED' })
  const part = new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body: 'x' })
  await expect(plain.send(part)).rejects.toThrow('expected checksum Type: sha256, actual checksum Type: null')
})

test('a client set to another region is told the right one', async () => {
  const { connect } = await startS3()
  const client = connect({ region: 'us-west-2' })
  await expect(client.send(new GetObjectCommand(object))).rejects.toThrow("expecting 'eu-central-1'")
  await expect(client.send(new HeadBucketCommand({ Bucket: 'plain' }))).rejects.toMatchObject({
    $metadata: { httpStatusCode: 400 },
  })
})

test('a delete marker hides the object, and cannot be read by its own version', async () => {
  const { client } = await startS3()
  await client.send(new PutObjectCommand({ ...versioned, Body: 'x' }))
  const { VersionId } = await client.send(new DeleteObjectCommand(versioned))
  await expect(client.send(new GetObjectCommand(versioned))).rejects.toMatchObject({ name: 'NoSuchKey' })
  await expect(client.send(new GetObjectCommand({ ...versioned, VersionId }))).rejects.toMatchObject({
    name: 'MethodNotAllowed',
  })
  await client.send(new DeleteObjectCommand({ ...versioned, VersionId }))
  const { Body } = await client.send(new GetObjectCommand(versioned))
  expect(await Body?.transformToString()).toBe('x')
})
