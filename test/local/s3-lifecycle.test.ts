import { join } from 'node:path'
import {
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { Template } from 'aws-cdk-lib/assertions'
import { expect, onTestFinished, test } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { RETIRED, RETIRED_TAG } from '../../lib/release/retention.ts'
import { PybundleStack } from '../../lib/stack/pybundle-stack.ts'
import { openCredentialStore } from '../../local/credentials.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { createS3Service } from '../../local/s3/service.ts'
import { readStack } from '../../local/template/local-stack.ts'
import { templateApp } from '../stack/template-app.ts'
import { temporaryDirectory } from './s3-endpoint.ts'

const DAY = 86_400_000
const FLEET =
  'tags = { app = "shop" }, user = "shop", units = ["shop"], health_url = "http://[::1]", signers = "off"'
const fleets = parseFleets(`environments.staging.shop = { retention_days = 5, ${FLEET} }`, 'fleets.toml')
const assembly = {
  stackName: 'Test',
  template: Template.fromStack(new PybundleStack(templateApp(), 'Pybundle', { fleets })).toJSON() as never,
  assetDirectory: () => '/nowhere',
}
const place = { region: 'us-east-1', account: '123456789012' }
const [{ lifecycle } = { lifecycle: [] }] = readStack(assembly, place).buckets
const Bucket = 'artifacts'

/** A bucket under the rules that the stack makes. */
async function startBucket() {
  const directory = temporaryDirectory()
  const credentials = openCredentialStore(directory)
  const s3 = createS3Service({ directory: join(directory, 's3'), region: place.region })
  await s3.createBucket(Bucket, { versioned: true, lifecycle })
  const endpoint = await startEndpoint({ port: 0, credentials, services: { s3 } })
  onTestFinished(() => endpoint.close())
  const client = new S3Client({
    endpoint: endpoint.url,
    region: place.region,
    credentials: credentials.issue('test'),
  })
  return {
    put: async (Key: string) =>
      (await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }))).VersionId ?? '',
    retire: async (Key: string, VersionId: string) => {
      const Tagging = { TagSet: [{ Key: RETIRED_TAG, Value: RETIRED }] }
      await client.send(new PutObjectTaggingCommand({ Bucket, Key, VersionId, Tagging }))
    },
    read: (Key: string, VersionId?: string) =>
      client.send(new GetObjectCommand({ Bucket, Key, ...(VersionId && { VersionId }) })).then(
        () => 'there',
        (error: Error) => error.name,
      ),
    list: async () => {
      const { Versions = [], DeleteMarkers = [] } = await client.send(
        new ListObjectVersionsCommand({ Bucket }),
      )
      return { versions: Versions.map(({ VersionId }) => VersionId), markers: DeleteMarkers.length }
    },
    pass: (days: number) => s3.applyLifecycle(new Date(Date.now() + days * DAY)),
  }
}

test('what is retired is an older version after a day or two, and gone so many days later as the operator says', async () => {
  const bucket = await startBucket()
  const key = 'staging/shop/code/one.tar.gz'
  const version = await bucket.put(key)
  await bucket.retire(key, version)
  bucket.pass(0)
  expect(await bucket.read(key)).toBe('there')
  bucket.pass(2)
  expect([await bucket.read(key), await bucket.read(key, version)]).toEqual(['NoSuchKey', 'there'])
  bucket.pass(6)
  expect(await bucket.read(key, version)).toBe('there')
  bucket.pass(8)
  expect(await bucket.read(key, version)).toBe('NoSuchVersion')
  bucket.pass(9)
  expect(await bucket.list()).toEqual({ versions: [], markers: 0 })
})

test('nothing goes that is not tagged, nor anything but bundles and code', async () => {
  const bucket = await startBucket()
  const kept = [
    await bucket.put('staging/shop/bundles/b.pybundle'),
    await bucket.put('staging/shop/bundles/b.pybundle'),
    await bucket.put('staging/shop/state.json'),
  ]
  for (const key of ['staging/shop/rollouts/r.json', 'staging/other/code/c.tar.gz']) {
    const version = await bucket.put(key)
    await bucket.retire(key, version)
    kept.push(version)
  }
  for (const days of [2, 10, 10_000]) bucket.pass(days)
  const { versions, markers } = await bucket.list()
  expect([versions.sort(), markers]).toEqual([kept.sort(), 0])
})

test('an older version that is retired leaves the newest of its key as it is', async () => {
  const bucket = await startBucket()
  const key = 'staging/shop/bundles/by-hand.pybundle'
  const older = await bucket.put(key)
  const newest = await bucket.put(key)
  await bucket.retire(key, older)
  bucket.pass(10)
  expect(await bucket.list()).toEqual({ versions: [newest], markers: 0 })
})
