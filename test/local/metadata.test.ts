import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SSMClient } from '@aws-sdk/client-ssm'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { type CredentialStore, openCredentialStore } from '../../local/credentials.ts'
import { type Metadata, startMetadata } from '../../local/metadata/metadata.ts'

const folder = mkdtempSync(join(tmpdir(), 'metadata-'))
let store: CredentialStore
let metadata: Metadata

beforeAll(async () => {
  store = openCredentialStore(folder)
  metadata = await startMetadata({ instanceId: 'i-1', region: 'us-east-1', credentials: store })
})
afterEach(() => vi.unstubAllEnvs())
afterAll(async () => {
  await metadata.close()
  rmSync(folder, { recursive: true })
})

const token = (ttl = '60', method = 'PUT', headers: Record<string, string> = {}) =>
  fetch(`${metadata.url}/latest/api/token`, {
    method,
    headers: { 'x-aws-ec2-metadata-token-ttl-seconds': ttl, ...headers },
  })

async function get(path: string) {
  const headers = { 'x-aws-ec2-metadata-token': await (await token()).text() }
  return fetch(`${metadata.url}/latest/${path}`, { headers })
}

test('gives the unmodified SDK the credentials of the role', async () => {
  vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', metadata.url)
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE']) {
    vi.stubEnv(name, undefined)
  }
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/dev/null')
  vi.stubEnv('AWS_CONFIG_FILE', '/dev/null')
  const found = await new SSMClient({ region: 'us-east-1' }).config.credentials()
  const known = store.secretFor(found.accessKeyId)
  expect(known?.principal).toBe('role/i-1')
  expect(found).toMatchObject({
    secretAccessKey: known?.secretAccessKey,
    sessionToken: known?.sessionToken,
    expiration: expect.any(Date),
  })
})

test('refuses who has no token', async () => {
  const url = `${metadata.url}/latest/meta-data/instance-id`
  expect((await fetch(url)).status).toBe(401)
  const headers = { 'x-aws-ec2-metadata-token': 'made-up' }
  expect((await fetch(url, { headers })).status).toBe(401)
})

test('gives tokens to PUT from the instance itself only, with a lifetime that EC2 gives', async () => {
  expect((await token()).status).toBe(200)
  expect((await token('60', 'GET')).status).toBe(405)
  expect((await token('0')).status).toBe(400)
  expect((await token('21601')).status).toBe(400)
  expect((await token('60', 'PUT', { 'x-forwarded-for': '10.0.0.1' })).status).toBe(403)
})

test('says which instance it is, and where', async () => {
  expect(await (await get('meta-data/instance-id')).text()).toBe('i-1')
  expect(await (await get('meta-data/placement/region')).text()).toBe('us-east-1')
  expect(await (await get('dynamic/instance-identity/document')).json()).toMatchObject({
    instanceId: 'i-1',
    region: 'us-east-1',
  })
  expect((await get('meta-data/none')).status).toBe(404)
})
