import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { execa } from 'execa'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from './s3-endpoint.ts'

const Bucket = 'kept'

test('objects and all their versions outlive a killed process', async () => {
  const directory = temporaryDirectory()
  const before = await startProcess(directory)
  const first = await before.client.send(
    new PutObjectCommand({
      Bucket,
      Key: 'a',
      Body: 'one',
      Metadata: { note: 'x' },
      ContentType: 'text/plain',
    }),
  )
  const second = await before.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'two' }))
  await before.kill()

  const { client } = await startProcess(directory)
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }))
  const old = await client.send(new GetObjectCommand({ Bucket, Key: 'a', VersionId: first.VersionId }))
  expect(Versions.map((version) => version.VersionId)).toEqual([second.VersionId, first.VersionId])
  expect(await old.Body?.transformToString()).toBe('one')
  expect(old).toMatchObject({ ContentType: 'text/plain', Metadata: { note: 'x' }, ETag: first.ETag })
}, 30_000)

test('a multipart upload begun before a kill can be completed after it', async () => {
  const directory = temporaryDirectory()
  const before = await startProcess(directory)
  const upload = { Bucket, Key: 'big' }
  const { UploadId } = await before.client.send(new CreateMultipartUploadCommand(upload))
  const one = await uploadPart(before.client, UploadId, 1, Buffer.alloc(5 * 1024 * 1024, 'a'))
  await before.kill()

  const { client } = await startProcess(directory)
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }))
  const two = await uploadPart(client, UploadId, 2, Buffer.from('end'))
  await client.send(
    new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload: { Parts: [one, two] } }),
  )
  const { Body, ContentLength } = await client.send(new GetObjectCommand(upload))
  expect(Uploads.map((found) => found.UploadId)).toEqual([UploadId])
  expect(ContentLength).toBe(5 * 1024 * 1024 + 3)
  expect((await Body?.transformToString())?.slice(-5)).toBe('aaend')
}, 30_000)

test('an upload cut off by a kill leaves no object and no bytes', async () => {
  const directory = temporaryDirectory()
  const blobs = join(directory, 'buckets', Bucket, 'blobs')
  const before = await startProcess(directory)
  async function* endless() {
    for (;;) {
      yield Buffer.alloc(64 * 1024)
      if (readdirSync(blobs).length > 0) await before.kill()
    }
  }
  const Body = Readable.from(endless())
  await expect(
    before.client.send(new PutObjectCommand({ Bucket, Key: 'cut', Body, ContentLength: 2 ** 30 })),
  ).rejects.toThrow()
  expect(readdirSync(blobs)).toHaveLength(1)

  const { client } = await startProcess(directory)
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }))
  expect(Versions).toEqual([])
  expect(readdirSync(blobs)).toEqual([])
}, 30_000)

async function uploadPart(client: S3Client, UploadId: string | undefined, PartNumber: number, Body: Buffer) {
  const part = { Bucket, Key: 'big', UploadId, PartNumber, Body }
  const { ETag } = await client.send(new UploadPartCommand(part))
  return { ETag, PartNumber }
}

async function startProcess(directory: string) {
  const child = execa('node', [join(import.meta.dirname, 's3-process.ts'), directory], { reject: false })
  const kill = async () => {
    child.kill('SIGKILL')
    await child
  }
  onTestFinished(kill)
  const [line] = await once(createInterface(child.stdout), 'line')
  return { client: new S3Client({ ...JSON.parse(line), region: 'us-east-1', maxAttempts: 1 }), kill }
}
