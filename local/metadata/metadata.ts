import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CredentialStore } from '../credentials.ts'

export interface MetadataOptions {
  instanceId: string
  region: string
  credentials: CredentialStore
  host?: string
  /** 0 lets the system choose a free one. */
  port?: number
}

/** What `AWS_EC2_METADATA_SERVICE_ENDPOINT` names. */
export interface Metadata {
  url: string
  close(): Promise<void>
}

const TOKEN_PATH = '/latest/api/token'
const TTL_HEADER = 'x-aws-ec2-metadata-token-ttl-seconds'
const LONGEST_TTL_SECONDS = 21_600
const ROLE_LIFETIME_SECONDS = 3600

/** The metadata service of one target: version 2 only, as a session token is asked for first. */
export async function startMetadata(options: MetadataOptions): Promise<Metadata> {
  const { host = '127.0.0.1', port = 0 } = options
  const tokens = new Map<string, number>()
  const documents = describeInstance(options)
  const server = createServer((request, response) => {
    const [status, body] = answer(request, { tokens, documents })
    send(response, status, body, request.headers[TTL_HEADER])
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

type Documents = Record<string, () => string>

function answer(
  { method, url, headers }: IncomingMessage,
  { tokens, documents }: { tokens: Map<string, number>; documents: Documents },
): [status: number, body: string] {
  const path = new URL(url ?? '/', 'http://metadata').pathname
  if (path === TOKEN_PATH) {
    if (method !== 'PUT') return [405, 'Method Not Allowed']
    // As on EC2: what came through a proxy gets no token.
    if (headers['x-forwarded-for']) return [403, 'Forbidden']
    return issueToken(tokens, Number(headers[TTL_HEADER]))
  }
  if (method !== 'GET') return [405, 'Method Not Allowed']
  const expiry = tokens.get(String(headers['x-aws-ec2-metadata-token']))
  if (!expiry || expiry < Date.now()) return [401, 'Unauthorized']
  const document = Object.hasOwn(documents, path) ? documents[path] : undefined
  return document ? [200, document()] : [404, 'Not Found']
}

function issueToken(tokens: Map<string, number>, ttlSeconds: number): [number, string] {
  if (!(ttlSeconds >= 1 && ttlSeconds <= LONGEST_TTL_SECONDS)) return [400, 'Bad Request']
  for (const [token, expiry] of tokens) if (expiry < Date.now()) tokens.delete(token)
  const token = randomBytes(40).toString('base64')
  tokens.set(token, Date.now() + ttlSeconds * 1000)
  return [200, token]
}

function describeInstance({ instanceId, region, credentials }: MetadataOptions): Documents {
  const role = 'pybundle-target'
  const identity = { instanceId, region, availabilityZone: `${region}a`, version: '2017-09-30' }
  const list = '/latest/meta-data/iam/security-credentials'
  return {
    [list]: () => role,
    [`${list}/`]: () => role,
    [`${list}/${role}`]: () => roleCredentials(credentials, instanceId),
    '/latest/meta-data/instance-id': () => instanceId,
    '/latest/meta-data/placement/region': () => region,
    '/latest/meta-data/placement/availability-zone': () => `${region}a`,
    '/latest/dynamic/instance-identity/document': () => JSON.stringify(identity, null, 2),
  }
}

function roleCredentials(credentials: CredentialStore, instanceId: string): string {
  const issued = credentials.issue(`role/${instanceId}`, ROLE_LIFETIME_SECONDS)
  const document = {
    Code: 'Success',
    LastUpdated: isoSeconds(new Date()),
    Type: 'AWS-HMAC',
    AccessKeyId: issued.accessKeyId,
    SecretAccessKey: issued.secretAccessKey,
    Token: issued.sessionToken,
    Expiration: issued.expiration && isoSeconds(issued.expiration),
  }
  return JSON.stringify(document, null, 2)
}

const isoSeconds = (date: Date) => `${date.toISOString().slice(0, 19)}Z`

function send(response: ServerResponse, status: number, body: string, ttl: string | string[] | undefined) {
  response.writeHead(status, {
    'content-type': 'text/plain',
    ...(status === 200 && ttl ? { [TTL_HEADER]: ttl } : {}),
  })
  response.end(body)
}
