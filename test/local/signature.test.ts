import { request } from 'node:http'
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { DescribeDocumentCommand, SSMClient } from '@aws-sdk/client-ssm'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { HttpRequest } from '@smithy/core/protocols'
import { Hash } from '@smithy/core/serde'
import { SignatureV4 } from '@smithy/signature-v4'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openCredentialStore } from '../../local/credentials.ts'
import { readBody, type Service, startEndpoint } from '../../local/http/endpoint.ts'
import { explainListen } from '../../local/http/listen.ts'
import { REGION, startS3, temporaryDirectory } from './s3-endpoint.ts'

const object = { Bucket: 'plain', Key: 'k' }

test('a wrong secret is refused', async () => {
  const { connect, credentials } = await startS3()
  const client = connect({ credentials: { ...credentials, secretAccessKey: 'wrong' } })
  await expect(client.send(new GetObjectCommand(object))).rejects.toMatchObject({
    name: 'SignatureDoesNotMatch',
    $metadata: { httpStatusCode: 403 },
  })
})

test('an unknown key is refused', async () => {
  const { connect } = await startS3()
  const client = connect({ credentials: { accessKeyId: 'AKIAUNKNOWN', secretAccessKey: 'x' } })
  await expect(client.send(new GetObjectCommand(object))).rejects.toMatchObject({
    name: 'InvalidAccessKeyId',
  })
})

test('a request without a signature is refused', async () => {
  const { url } = await startS3()
  const response = await fetch(`${url}/plain/k`)
  expect(response.status).toBe(403)
  expect(await response.text()).toContain('<Code>AccessDenied</Code>')
})

test('a clock that is 16 minutes off is told the time of the server', async () => {
  const { connect } = await startS3()
  const client = connect({ systemClockOffset: -16 * 60 * 1000 })
  await expect(client.send(new GetObjectCommand(object))).rejects.toMatchObject({
    name: 'RequestTimeTooSkewed',
    ServerTime: expect.stringMatching(/^\d{4}-/),
  })
})

test('a body changed on the way is refused and leaves no object', async () => {
  const { client, connect } = await startS3()
  const tampered = connect()
  tamper(tampered, (sent) => ({ ...sent, body: 'HELLO' }))
  await expect(tampered.send(new PutObjectCommand({ ...object, Body: 'hello' }))).rejects.toMatchObject({
    name: 'XAmzContentSHA256Mismatch',
  })
  const { KeyCount } = await client.send(new ListObjectsV2Command({ Bucket: 'plain' }))
  expect(KeyCount).toBe(0)
})

test('a header added on the way is refused', async () => {
  const { client } = await startS3()
  tamper(client, (sent) => ({ ...sent, headers: { ...sent.headers, 'x-amz-meta-added': 'x' } }))
  await expect(client.send(new PutObjectCommand({ ...object, Body: 'hello' }))).rejects.toMatchObject({
    name: 'AccessDenied',
    HeadersNotSigned: 'x-amz-meta-added',
  })
})

test('a path changed on the way is refused', async () => {
  const { client } = await startS3()
  tamper(client, (sent) => ({ ...sent, path: '/plain/other' }))
  await expect(client.send(new PutObjectCommand({ ...object, Body: 'hello' }))).rejects.toMatchObject({
    name: 'SignatureDoesNotMatch',
  })
})

test('temporary keys need their session token and end when they expire', async () => {
  const { url, connect } = await startS3()
  expect(url).toBeTruthy()
  const directory = temporaryDirectory()
  const store = openCredentialStore(directory)
  const service: Service = async (_, response) => void response.end()
  const endpoint = await startEndpoint({ port: 0, credentials: store, services: { s3: service } })
  onTestFinished(() => endpoint.close())
  const issued = store.issue('target', 3600)
  const list = new ListObjectsV2Command({ Bucket: 'b' })
  const send = (credentials: typeof issued) => connect({ endpoint: endpoint.url, credentials }).send(list)

  await send(issued)
  const { sessionToken: _, ...bare } = issued
  await expect(send(bare)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } })
  await expect(send({ ...issued, sessionToken: 'other' })).rejects.toMatchObject({
    $metadata: { httpStatusCode: 403 },
  })
  await expect(send(store.issue('late', -1))).rejects.toMatchObject({ $metadata: { httpStatusCode: 400 } })
})

test('keys outlive a restart', () => {
  const directory = temporaryDirectory()
  const issued = openCredentialStore(directory).issue('publisher')
  const again = openCredentialStore(directory)
  expect(again.issue('publisher')).toEqual(issued)
  expect(again.secretFor(issued.accessKeyId)).toMatchObject({ principal: 'publisher' })
})

test('S3 wants the hash of the body in a header', async () => {
  const { url, credentials } = await startS3()
  const { host } = new URL(url)
  const signer = new SignatureV4({
    credentials,
    region: REGION,
    service: 's3',
    sha256: Hash.bind(null, 'sha256'),
    uriEscapePath: false,
    applyChecksum: false,
  })
  const { headers } = await signer.sign(new HttpRequest({ method: 'GET', path: '/plain', headers: { host } }))
  const response = await fetch(`${url}/plain`, { headers })
  expect(response.status).toBe(400)
  expect(await response.text()).toContain('x-amz-content-sha256')
})

test('a presigned URL works until it expires', async () => {
  const { client } = await startS3()
  await client.send(new PutObjectCommand({ ...object, Body: 'hello' }))
  const fresh = await getSignedUrl(client, new GetObjectCommand(object), { expiresIn: 60 })
  const stale = await getSignedUrl(client, new GetObjectCommand(object), {
    expiresIn: 60,
    signingDate: new Date(Date.now() - 61_000),
  })
  expect(await (await fetch(fresh)).text()).toBe('hello')
  const refused = await fetch(stale)
  expect(refused.status).toBe(403)
  expect(await refused.text()).toContain('Request has expired')
})

test('a presigned URL is for its own key, method and headers only', async () => {
  const { client } = await startS3()
  await client.send(new PutObjectCommand({ ...object, Body: 'hello' }))
  const url = await getSignedUrl(client, new GetObjectCommand(object), { expiresIn: 60 })
  expect((await fetch(url.replace('/plain/k?', '/plain/other?'))).status).toBe(403)
  expect((await fetch(url, { method: 'DELETE' })).status).toBe(403)
  expect((await fetch(`${url}&versionId=null`)).status).toBe(403)
  expect((await fetch(url, { headers: { 'x-amz-checksum-mode': 'ENABLED' } })).status).toBe(403)
})

test('a presigned upload carries its metadata in the URL', async () => {
  const { client } = await startS3()
  const put = new PutObjectCommand({ ...object, Metadata: { origin: 'ci' } })
  const url = await getSignedUrl(client, put, { expiresIn: 60 })
  expect((await fetch(url, { method: 'PUT', body: 'hello' })).status).toBe(200)
  const { Metadata } = await client.send(new GetObjectCommand(object))
  expect(Metadata).toEqual({ origin: 'ci' })
})

test('an upload that ends early is no object', async () => {
  const { client } = await startS3()
  const url = new URL(await getSignedUrl(client, new PutObjectCommand(object), { expiresIn: 60 }))
  await new Promise<void>((resolve) => {
    const sending = request(url, { method: 'PUT', headers: { 'content-length': 100 } })
    sending.on('error', () => resolve())
    sending.on('close', () => resolve())
    sending.write('only this', () => sending.destroy())
  })
  const { KeyCount } = await client.send(new ListObjectsV2Command({ Bucket: 'plain' }))
  expect(KeyCount).toBe(0)
})

test('requests go to the service that their signature names, and are refused in its own words', async () => {
  const store = openCredentialStore(temporaryDirectory())
  const ssm: Service = async (received, response) => {
    const { Name } = JSON.parse(String(await readBody(received.body)))
    response.end(JSON.stringify({ Document: { Name, Owner: received.principal } }))
  }
  const endpoint = await startEndpoint({ port: 0, credentials: store, services: { ssm } })
  onTestFinished(() => endpoint.close())
  const credentials = store.issue('operator')
  const settings = { endpoint: endpoint.url, region: 'eu-central-1', maxAttempts: 1 }
  const describe = new DescribeDocumentCommand({ Name: 'deploy' })

  const { Document } = await new SSMClient({ ...settings, credentials }).send(describe)
  expect(Document).toMatchObject({ Name: 'deploy', Owner: 'operator' })
  const wrong = new SSMClient({ ...settings, credentials: { ...credentials, secretAccessKey: 'x' } })
  await expect(wrong.send(describe)).rejects.toMatchObject({ name: 'InvalidSignatureException' })
})

test('a port in use is named', async () => {
  const { url } = await startS3()
  const port = Number(new URL(url).port)
  const credentials = openCredentialStore(temporaryDirectory())
  await expect(startEndpoint({ port, credentials, services: {} })).rejects.toMatchObject({
    name: 'UserError',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
})

test('a port that only root may use is told as such', () => {
  const denied = Object.assign(new Error('listen EACCES'), { code: 'EACCES', syscall: 'listen' })
  expect(explainListen(denied, '127.0.0.1:80')).toMatchObject({
    name: 'UserError',
    message:
      'The local cloud cannot listen on 127.0.0.1:80: only root may use this port. Choose one above 1023 with --port.',
  })
})

test('an error in a service is answered as one, and logged', async () => {
  const log = vi.spyOn(console, 'error').mockImplementation(() => {})
  onTestFinished(() => log.mockRestore())
  const store = openCredentialStore(temporaryDirectory())
  const ssm: Service = async () => {
    throw new Error('broken')
  }
  const endpoint = await startEndpoint({ port: 0, credentials: store, services: { ssm } })
  onTestFinished(() => endpoint.close())
  const client = new SSMClient({
    endpoint: endpoint.url,
    region: 'x',
    maxAttempts: 1,
    credentials: store.issue('operator'),
  })
  await expect(client.send(new DescribeDocumentCommand({ Name: 'x' }))).rejects.toMatchObject({
    name: 'InternalServerError',
  })
  expect(log).toHaveBeenCalledOnce()
})

interface SentRequest {
  path: string
  headers: Record<string, string>
  body: unknown
}

/** Changes requests after they were signed, as someone on the way could. */
function tamper(client: S3Client, change: (sent: SentRequest) => SentRequest): void {
  client.middlewareStack.add(
    (next) => (args) =>
      next({ ...args, request: Object.assign(args.request as object, change(args.request as SentRequest)) }),
    { step: 'finalizeRequest', priority: 'low', name: 'tamper' },
  )
}
