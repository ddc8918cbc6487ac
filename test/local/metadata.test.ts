import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromInstanceMetadata } from '@smithy/credential-provider-imds'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type CredentialStore, openCredentialStore } from '../../local/credentials.ts'
import { type Metadata, startMetadata } from '../../local/metadata/metadata.ts'

const INSTANCE = 'i-0123456789abcdef0'
const ROLES = '/latest/meta-data/iam/security-credentials/'

let folder: string
let credentials: CredentialStore
let metadata: Metadata

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'metadata-'))
  credentials = openCredentialStore(folder)
  metadata = await startMetadata({ instanceId: INSTANCE, region: 'eu-west-1', credentials })
})

afterAll(async () => {
  await metadata.close()
  rmSync(folder, { recursive: true })
})

afterEach(() => {
  delete process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT
})

test('gives the SDK the credentials of the role, which the local cloud knows', async () => {
  process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = metadata.url
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = await fromInstanceMetadata()()
  expect(credentials.secretFor(accessKeyId)).toMatchObject({
    secretAccessKey,
    sessionToken,
    principal: `role/${INSTANCE}`,
  })
  expect(expiration?.getTime()).toBeGreaterThan(Date.now() + 20 * 60_000)
})

test('says who the instance is and where', async () => {
  expect(await read('/latest/meta-data/instance-id')).toBe(INSTANCE)
  expect(await read('/latest/meta-data/placement/region')).toBe('eu-west-1')
  expect(JSON.parse(await read('/latest/dynamic/instance-identity/document'))).toMatchObject({
    instanceId: INSTANCE,
    region: 'eu-west-1',
  })
})

test.each([{}, { 'x-aws-ec2-metadata-token': 'made up' }])(
  'says nothing without its token: %o',
  async (headers) => {
    const response = await fetch(metadata.url + ROLES, { headers })
    expect(response.status).toBe(401)
  },
)

test.each([{}, ttl('0'), ttl('21601'), ttl('soon')])(
  'gives no token for a wrong time: %o',
  async (headers) => {
    expect((await askToken(headers)).status).toBe(400)
  },
)

test('gives no token through a proxy', async () => {
  expect((await askToken({ ...ttl('60'), 'x-forwarded-for': '10.0.0.1' })).status).toBe(403)
})

test('knows no other role and no other path', async () => {
  const headers = { 'x-aws-ec2-metadata-token': await (await askToken(ttl('60'))).text() }
  for (const path of [`${ROLES}other`, '/latest/user-data', '/latest/meta-data/__proto__']) {
    expect((await fetch(metadata.url + path, { headers })).status).toBe(404)
  }
})

function ttl(seconds: string): Record<string, string> {
  return { 'x-aws-ec2-metadata-token-ttl-seconds': seconds }
}

function askToken(headers: Record<string, string>): Promise<Response> {
  return fetch(`${metadata.url}/latest/api/token`, { method: 'PUT', headers })
}

async function read(path: string): Promise<string> {
  const token = await (await askToken(ttl('60'))).text()
  const response = await fetch(metadata.url + path, { headers: { 'x-aws-ec2-metadata-token': token } })
  return response.text()
}
