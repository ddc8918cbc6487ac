import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { startS3 } from './s3-endpoint.ts'

test('an upload is announced with its version, size and tag', async () => {
  const { client, events } = await startS3()
  const put = await client.send(
    new PutObjectCommand({ Bucket: 'versioned', Key: 'a b/ü.zip', Body: 'hello' }),
  )
  expect(events).toEqual([
    {
      bucket: 'versioned',
      key: 'a b/ü.zip',
      versionId: put.VersionId,
      size: 5,
      eTag: '5d41402abc4b2a76b9719d911017c592',
      sequencer: expect.stringMatching(/^[0-9A-F]{16}$/),
      eventName: 'ObjectCreated:Put',
      time: expect.any(Date),
    },
  ])
})

test('copies and completed multipart uploads are announced under names of their own', async () => {
  const { client, events } = await startS3()
  await client.send(new PutObjectCommand({ Bucket: 'plain', Key: 'a', Body: 'x' }))
  await client.send(new CopyObjectCommand({ Bucket: 'plain', Key: 'b', CopySource: 'plain/a' }))
  const target = { Bucket: 'plain', Key: 'c' }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(target))
  const { ETag } = await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber: 1, Body: 'x' }))
  const Parts = [{ ETag, PartNumber: 1 }]
  await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }))
  expect(events.map((event) => `${event.key} ${event.eventName}`)).toEqual([
    'a ObjectCreated:Put',
    'b ObjectCreated:Copy',
    'c ObjectCreated:CompleteMultipartUpload',
  ])
})

test('of two writes to a key the later has the greater sequencer', async () => {
  const { client, events } = await startS3()
  for (const Body of ['1', '2']) {
    await client.send(new PutObjectCommand({ Bucket: 'versioned', Key: 'k', Body }))
  }
  const [first = '', second = ''] = events.map((event) => event.sequencer)
  expect(second > first).toBe(true)
})

test('a refused upload and a deletion announce nothing', async () => {
  const { client, events } = await startS3()
  const upload = { Bucket: 'plain', Key: 'k', Body: 'x', ChecksumSHA256: Buffer.alloc(32).toString('base64') }
  await expect(client.send(new PutObjectCommand(upload))).rejects.toThrow()
  await client.send(new DeleteObjectCommand({ Bucket: 'plain', Key: 'k' }))
  expect(events).toEqual([])
})
