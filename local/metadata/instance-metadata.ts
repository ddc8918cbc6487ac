import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Credentials } from '../credentials.ts'
import { MetadataTokens } from './metadata-tokens.ts'

export interface InstanceMetadataOptions {
  instanceId: string
  region: string
  account: string
  /** Of the instance's role; asked at every request, so that they are fresh. */
  credentials: () => Credentials
}

export interface InstanceMetadata {
  /** For `AWS_EC2_METADATA_SERVICE_ENDPOINT`. */
  url: string
  close(): Promise<void>
}

/** Where a target learns who it is and gets its role's credentials: IMDSv2 only, a server per target. */
export async function startInstanceMetadata(options: InstanceMetadataOptions): Promise<InstanceMetadata> {
  const tokens = new MetadataTokens()
  const server = createServer((request, response) => {
    const { status, body, headers = {} } = answer(request, tokens, options)
    response.writeHead(status, { 'content-type': 'text/plain', ...headers })
    response.end(body)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Answer {
  status: number
  body: string
  headers?: Record<string, string>
}

const TOKEN_PATH = '/latest/api/token'
const TTL_HEADER = 'x-aws-ec2-metadata-token-ttl-seconds'

function answer(request: IncomingMessage, tokens: MetadataTokens, options: InstanceMetadataOptions): Answer {
  const path = (request.url ?? '').replace(/\?.*$/, '')
  if (path === TOKEN_PATH) return issueToken(request, tokens)
  if (request.method !== 'GET') return { status: 405, body: 'Method Not Allowed' }
  if (!tokens.isValid(request.headers['x-aws-ec2-metadata-token'])) {
    return { status: 401, body: 'Unauthorized' }
  }
  const body = tree(options)[path]
  return body ? { status: 200, body: body() } : { status: 404, body: 'Not Found' }
}

function issueToken(request: IncomingMessage, tokens: MetadataTokens): Answer {
  if (request.method !== 'PUT') return { status: 405, body: 'Method Not Allowed' }
  // What was forwarded did not come from the instance itself.
  if (request.headers['x-forwarded-for']) return { status: 403, body: 'Forbidden' }
  const ttl = request.headers[TTL_HEADER]
  const token = tokens.issue(Number(ttl))
  if (!token) return { status: 400, body: 'Bad Request' }
  return { status: 200, body: token, headers: { [TTL_HEADER]: String(ttl) } }
}

/** Each path below `/latest`, and what it says. */
function tree(options: InstanceMetadataOptions): Record<string, () => string> {
  const { instanceId, region, account } = options
  const role = `role-of-${instanceId}`
  const credentials = '/latest/meta-data/iam/security-credentials/'
  return {
    '/latest/meta-data/': () => 'iam/\ninstance-id\nplacement/',
    '/latest/meta-data/instance-id': () => instanceId,
    '/latest/meta-data/placement/region': () => region,
    '/latest/meta-data/placement/availability-zone': () => `${region}a`,
    [credentials]: () => role,
    [credentials.slice(0, -1)]: () => role,
    [credentials + role]: () => describeCredentials(options.credentials()),
    '/latest/dynamic/instance-identity/document': () =>
      JSON.stringify({ instanceId, region, accountId: account, availabilityZone: `${region}a` }, null, 1),
  }
}

function describeCredentials({
  accessKeyId,
  secretAccessKey,
  sessionToken,
  expiration,
}: Credentials): string {
  const described = {
    Code: 'Success',
    Type: 'AWS-HMAC',
    LastUpdated: new Date().toISOString(),
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration: expiration?.toISOString(),
  }
  return JSON.stringify(described, null, 1)
}
