import { EventEmitter, once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { PROGRAM_PARTS, programDocumentContent } from '../../lib/stack/program-documents.ts'
import { settingsLine } from '../../lib/stack/target-document.ts'
import { openCredentialStore } from '../../local/credentials.ts'
import { type Service, ServiceError, startEndpoint } from '../../local/http/endpoint.ts'

/** What goes wrong with the next answers, one each; undefined: nothing. */
export type Fault =
  | 'unavailable'
  | 'cut'
  | 'skewed'
  | 'expired'
  | 'denied'
  | 'elsewhere'
  | 'no bucket'
  | undefined

export interface BucketAndMetadata {
  /** As the target program's environment names them. */
  environment: Record<string, string>
  put(key: string, body: Buffer | string): { key: string; versionId: string; size: number }
  /** The newest version. */
  body(key: string): Buffer
  forget(key: string): void
  keys(): string[]
  /** Whether the instance has a role at all. */
  hasRole: boolean
  /** How many versions the documents have after the first, which is what targets are to run. */
  updates: number
  /** Whether EC2 may assume it. */
  isRoleUsable: boolean
  /** What the newest versions of targets' documents say, by the documents' names. */
  documents: Map<string, () => Record<string, unknown>>
  /** Keys in the order they were fetched. */
  fetched: string[]
  /** Of the bodies of all answers. */
  bytes: number
  faults: Fault[]
  whenFetched(key: string): Promise<void>
  close(): Promise<void>
}

interface Stored {
  key: string
  versionId: string
  body: Buffer
}

/** A bucket of versioned objects behind the local cloud's signature check, and one instance's metadata. */
export async function startBucketAndMetadata(folder: string): Promise<BucketAndMetadata> {
  const objects: Stored[] = []
  const fetched: string[] = []
  const faults: Fault[] = []
  const documents: BucketAndMetadata['documents'] = new Map()
  const events = new EventEmitter()
  const credentials = openCredentialStore(folder)
  const s3: Service = async ({ method, url, headers, body }, response) => {
    const key = decodeURIComponent(url.pathname.replace(/^\/[^/]+\//, ''))
    if (method === 'PUT') {
      server.put(key, await buffer(body))
      return void response.end()
    }
    const version = url.searchParams.get('versionId')
    const found = objects.findLast((one) => one.key === key && (!version || one.versionId === version))
    fetched.push(key)
    events.emit(key)
    if (answerFault(faults.shift(), response, found?.body, headers.range)) return
    if (!found) throw new ServiceError(404, 'NoSuchKey', 'The specified key does not exist.')
    server.bytes += answerRange(headers.range, found.body, response)
  }
  s3.refuse = (response, { status, code }) => {
    response.writeHead(status, { date: new Date().toUTCString() }).end(errorBody(code))
  }
  const ssm: Service = async ({ body }, response) => {
    const { Name, DocumentVersion: asked } = JSON.parse((await buffer(body)).toString())
    const settings = documents.get(Name)
    if (settings) {
      const mainSteps = [{ inputs: { runCommand: [settingsLine(settings())] } }]
      return void response.end(
        JSON.stringify({ DocumentVersion: '1', Content: JSON.stringify({ mainSteps }) }),
      )
    }
    const part = PROGRAM_PARTS.find((name) => name === Name)
    if (!part) throw new ServiceError(400, 'InvalidDocument', `no document "${Name}"`)
    const DocumentVersion = asked === '$LATEST' ? String(1 + server.updates) : asked
    const content = JSON.stringify(programDocumentContent(part))
    const newer = content.replace('"import ', '"# newer","import ')
    const Content = DocumentVersion === '1' ? content : newer
    response.end(JSON.stringify({ DocumentVersion, Content }))
  }
  const endpoint = await startEndpoint({ port: 0, credentials, services: { s3, ssm } })
  const metadata = await startMetadata(() => {
    if (!server.hasRole) return undefined
    return server.isRoleUsable ? credentials.issue('target', 3600) : 'refused'
  })

  const server: BucketAndMetadata = {
    hasRole: true,
    updates: 0,
    isRoleUsable: true,
    environment: { AWS_ENDPOINT_URL: endpoint.url, AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url },
    put(key, body) {
      const stored = { key, versionId: `v${objects.length}`, body: Buffer.from(body) }
      objects.push(stored)
      return { key, versionId: stored.versionId, size: stored.body.length }
    },
    body(key) {
      const found = objects.findLast((one) => one.key === key)
      if (!found) throw new Error(`no object "${key}"`)
      return found.body
    },
    keys: () => objects.map(({ key }) => key),
    forget(key) {
      objects.splice(0, objects.length, ...objects.filter((one) => one.key !== key))
    },
    documents,
    fetched,
    bytes: 0,
    faults,
    async whenFetched(key) {
      if (!fetched.includes(key)) await once(events, key)
    },
    async close() {
      await endpoint.close()
      await metadata.close()
    },
  }
  return server
}

/** The whole object, or the bytes that were asked for. */
function answerRange(range: string | undefined, body: Buffer, response: ServerResponse): number {
  const [, begin = 0, end = body.length - 1] = (/^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []).map(Number)
  const part = body.subarray(begin, end + 1)
  const headers = { 'content-range': `bytes ${begin}-${begin + part.length - 1}/${body.length}` }
  response.writeHead(range ? 206 : 200, headers).end(part)
  return part.length
}

function errorBody(code: string, message = ''): string {
  const said = message && `<Message>${message}</Message>`
  return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code>${said}</Error>`
}

function answerFault(fault: Fault, response: ServerResponse, body?: Buffer, range?: string): boolean {
  if (fault === 'unavailable') response.writeHead(503).end(errorBody('SlowDown'))
  if (fault === 'denied') {
    response.writeHead(403).end(errorBody('AccessDenied', 'the-role may not perform: kms:Decrypt'))
  }
  if (fault === 'elsewhere') {
    const headers = { 'x-amz-bucket-region': 'us-east-1', location: '/the-bucket/elsewhere' }
    response.writeHead(301, headers).end(errorBody('PermanentRedirect'))
  }
  if (fault === 'no bucket') response.writeHead(404).end(errorBody('NoSuchBucket'))
  if (fault === 'expired') response.writeHead(400).end(errorBody('ExpiredToken'))
  if (fault === 'skewed') response.writeHead(403).end(errorBody('RequestTimeTooSkewed'))
  if (fault === 'cut') {
    const [, begin = 0, end = 0] = (/^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? []).map(Number)
    const headers = {
      'content-length': (range ? end - begin : (body?.length ?? 0)) + 1,
      'content-range': `bytes ${begin}-${end}/${body?.length}`,
    }
    response.writeHead(range ? 206 : 200, headers)
    response.write(body?.subarray(begin, begin + 10) ?? '', () => response.destroy())
  }
  return fault !== undefined
}

interface Issued {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
}

const ROLES = '/latest/meta-data/iam/security-credentials/'

/** IMDSv2: nothing without a token. */
async function startMetadata(
  issue: () => Issued | 'refused' | undefined,
): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.method === 'PUT' && request.url === '/latest/api/token') return response.end('a-token')
    if (request.headers['x-aws-ec2-metadata-token'] !== 'a-token') return response.writeHead(401).end()
    const issued = issue()
    if (!issued || !request.url?.startsWith(ROLES)) return response.writeHead(404).end()
    if (request.url === ROLES) return response.end('the-role')
    if (issued === 'refused') {
      const said = { Code: 'AssumeRoleUnauthorizedAccess', Message: 'EC2 cannot assume the role the-role.' }
      return response.end(JSON.stringify(said))
    }
    const { accessKeyId, secretAccessKey, sessionToken } = issued
    response.end(
      JSON.stringify({ AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: sessionToken }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => closeServer(server),
  }
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
