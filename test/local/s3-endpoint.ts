import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import { onTestFinished } from 'vitest'
import { type Credentials, openCredentialStore } from '../../local/credentials.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { createS3Service, type ObjectCreated } from '../../local/s3/service.ts'

export const REGION = 'eu-central-1'

export interface S3Endpoint {
  url: string
  client: S3Client
  credentials: Credentials
  events: ObjectCreated[]
  connect(settings?: Partial<S3ClientConfig>): S3Client
  close(): Promise<void>
}

/** A real endpoint on a free port with the buckets `plain` and `versioned`; ends with the test. */
export async function startS3(directory = temporaryDirectory()): Promise<S3Endpoint> {
  const store = openCredentialStore(directory)
  const events: ObjectCreated[] = []
  const s3 = createS3Service({
    directory,
    region: REGION,
    onObjectCreated: (event) => void events.push(event),
  })
  await s3.createBucket('plain')
  await s3.createBucket('versioned', { versioned: true })
  const endpoint = await startEndpoint({ port: 0, credentials: store, services: { s3 } })
  onTestFinished(() => endpoint.close())
  const credentials = store.issue('publisher')
  const connect = (settings: Partial<S3ClientConfig> = {}) =>
    new S3Client({ endpoint: endpoint.url, region: REGION, credentials, maxAttempts: 1, ...settings })
  return { url: endpoint.url, client: connect(), credentials, events, connect, close: endpoint.close }
}

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 's3-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
