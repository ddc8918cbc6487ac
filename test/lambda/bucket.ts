import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import {
  CreateBucketCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { pack } from 'tar-stream'
import { objectStore } from '../../lib/aws/object-store.ts'
import { packBundle } from '../../lib/bundle/pack.ts'
import { openCredentialStore } from '../../local/credentials.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { createS3Service } from '../../local/s3/service.ts'

const BUCKET = 'artifacts'
const REGION = 'us-east-1'

/** A versioned bucket of the local cloud, for functions that run in the test's own process. */
export async function openBucket() {
  const directory = await mkdtemp(join(tmpdir(), 'pybundle-functions-'))
  const credentials = openCredentialStore(directory)
  const s3 = createS3Service({ directory, region: REGION })
  const endpoint = await startEndpoint({ port: 0, credentials, services: { s3 } })
  const client = new S3Client({
    endpoint: endpoint.url,
    region: REGION,
    credentials: credentials.issue('user/test'),
  })
  await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
  const VersioningConfiguration = { Status: 'Enabled' } as const
  await client.send(new PutBucketVersioningCommand({ Bucket: BUCKET, VersioningConfiguration }))
  return {
    directory,
    store: objectStore(client, BUCKET),
    async put(Key: string, Body: string | Uint8Array, Metadata: Record<string, string> = {}) {
      const { VersionId } = await client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body, Metadata }))
      return VersionId ?? ''
    },
    async close() {
      client.destroy()
      await endpoint.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

export type TestBucket = Awaited<ReturnType<typeof openBucket>>

/** As S3 tells on-upload. */
export function created(key: string, versionId: string) {
  return { Records: [{ s3: { object: { key: encodeURIComponent(key).replaceAll('%20', '+'), versionId } } }] }
}

export async function codeArchive(text: string): Promise<Uint8Array> {
  const tar = pack()
  tar.entry({ name: 'pyproject.toml' }, '[tool.pybundle]\napp = "guestbook"\nplatform = "this-machine"\n')
  tar.entry({ name: 'app.py' }, text)
  tar.finalize()
  return gzipSync(await buffer(tar))
}

export async function bundle(directory: string): Promise<string> {
  const file = join(directory, 'small.pybundle')
  const pip = join(directory, 'pip-24.0-py3-none-any.whl')
  await writeFile(pip, 'only its digest matters here')
  const platform = { machine: 'x86_64', libc: ['glibc', '2.34'], python: '3.11' } as const
  await packBundle({ platform: platform as never, roots: [], wheels: [], pip }, file)
  return file
}
