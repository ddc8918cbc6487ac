import type { Socket } from 'node:net'
import { S3Client } from '@aws-sdk/client-s3'
import { onTestFinished } from 'vitest'
import { type ObjectStore, objectStore } from '../../lib/aws/object-store.ts'
import { openCredentialStore } from '../../local/credentials.ts'
import { type Service, startEndpoint } from '../../local/http/endpoint.ts'
import { createS3Service } from '../../local/s3/service.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'

export interface Bucket extends ObjectStore {
  /** What points an AWS client at it. */
  env: Record<string, string>
  keys(): Promise<string[]>
  /** Every byte that arrived there so far, headers included. */
  received(): number
}

/** An empty, versioned bucket behind a real S3 endpoint on loopback. */
export async function startBucket(): Promise<Bucket> {
  const directory = temporaryFolder()
  const region = 'eu-central-1'
  const credentials = openCredentialStore(directory)
  const { accessKeyId, secretAccessKey } = credentials.issue('publisher')
  const s3 = createS3Service({ directory, region })
  await s3.createBucket('artifacts', { versioned: true })
  const sockets = new Set<Socket>()
  const counting: Service = Object.assign(
    (...[request, response]: Parameters<Service>) => {
      sockets.add(request.raw.socket)
      return s3(request, response)
    },
    { refuse: s3.refuse },
  )
  const endpoint = await startEndpoint({ port: 0, credentials, services: { s3: counting } })
  onTestFinished(() => endpoint.close())
  const client = new S3Client({
    region,
    endpoint: endpoint.url,
    credentials: { accessKeyId, secretAccessKey },
  })
  const store = objectStore(client, 'artifacts')
  return {
    ...store,
    env: {
      AWS_ENDPOINT_URL: endpoint.url,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_REGION: region,
    },
    received: () => [...sockets].reduce((sum, { bytesRead }) => sum + bytesRead, 0),
    keys: async () => (await store.list('')).map(({ key }) => key),
  }
}
