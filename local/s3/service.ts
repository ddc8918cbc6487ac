import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { LifecycleRule } from '@aws-sdk/client-s3'
import { observed, readBody, type Service, ServiceError, type SignedRequest } from '../http/service.ts'
import { Buckets } from './buckets.ts'
import type { Call, ObjectCreated } from './call.ts'
import { announcedChecksum, checkAnnounced, checkContentMd5, startChecksum } from './checksums.ts'
import { invalidRequest } from './errors.ts'
import { HANDLERS } from './handlers.ts'
import { readDocument, readParameters } from './input.ts'
import { applyLifecycle, writeLifecycle } from './lifecycle.ts'
import { matchOperation, type Operation, readAddress } from './operation.ts'
import { writeError, writeOutput } from './output.ts'
import { payloadOf } from './schema.ts'

export type { ObjectCreated } from './call.ts'

export interface S3Options {
  /** Holds all buckets; what is found there is served again. */
  directory: string
  region: string
  account?: string
  /** Called once the object is on disk. The client's answer waits for it: return when the event is queued. */
  onObjectCreated?: (event: ObjectCreated) => void | Promise<void>
}

export interface S3Service extends Service {
  /** Leaves what a bucket holds that is there already as it is. */
  createBucket(name: string, options?: BucketOptions): Promise<void>
  /** As S3 does by itself once a day. */
  applyLifecycle(now: Date): void
}

export interface BucketOptions {
  versioned?: boolean
  lifecycle?: readonly LifecycleRule[]
}

/** S3, spoken in path style, with its objects below a directory. Who may do what is not decided here. */
export function createS3Service(options: S3Options): S3Service {
  const { region, account = '000000000000', onObjectCreated = () => {} } = options
  const buckets = new Buckets(join(options.directory, 'buckets'))

  const serve: Service = async (request, response) => {
    checkRegion(request, region)
    await answer({ buckets, request, region, account, onObjectCreated }, response)
  }
  return Object.assign(serve, {
    refuse: (response: ServerResponse, error: ServiceError) =>
      writeError(response, error, response.req.method === 'HEAD'),
    async createBucket(name: string, { versioned = false, lifecycle = [] }: BucketOptions = {}) {
      const bucket = buckets.has(name) ? buckets.find(name) : buckets.create(name)
      if (versioned) bucket.putDocument('versioning', VERSIONED)
      if (lifecycle.length > 0) writeLifecycle(bucket, lifecycle)
    },
    applyLifecycle(now: Date) {
      for (const bucket of buckets.list()) applyLifecycle(bucket, now)
    },
  })
}

const VERSIONED =
  '<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>'

async function answer(call: Call, response: ServerResponse): Promise<void> {
  const { request } = call
  const address = readAddress(request.path)
  const operation = matchOperation(request, address)
  const handler = HANDLERS[operation.name]
  if (!handler) {
    throw new ServiceError(501, 'NotImplemented', `The local cloud's S3 has no ${operation.name}.`)
  }
  const input = readParameters(operation.input, request, address)
  checkOwner(input.ExpectedBucketOwner, call.account)
  Object.assign(input, await readPayload(operation, request))
  const output = await observed(request, { operation: operation.name, input }, () =>
    handler(input as never, call),
  )
  const status = '$status' in output ? Number(output.$status) : operation.status
  await writeOutput(operation.output, { ...output }, response, status)
}

/** A document of an operation, verified and parsed; an object's content is left to stream. */
async function readPayload(operation: Operation, request: SignedRequest): Promise<object> {
  const payload = payloadOf(operation.input)
  if (!payload || payload[1].isStreaming()) return {}
  const body = await readBody(request.body)
  if (operation.hasBodyChecksum) await checkBody(operation, request, body)
  if (body.length === 0 && operation.name === 'CreateBucket') return {}
  const text = body.toString()
  const { member, value } = readDocument(operation.input, text)
  return { [member]: value, $body: text, $value: value }
}

async function checkBody(operation: Operation, request: SignedRequest, body: Buffer): Promise<void> {
  const announced = announcedChecksum(request)
  if (!announced && !request.headers['content-md5'] && operation.name === 'DeleteObjects') {
    throw invalidRequest('Missing required header for this request: Content-MD5 OR x-amz-checksum-*')
  }
  checkContentMd5(request, createHash('md5').update(body).digest('hex'))
  if (!announced) return
  const running = startChecksum(announced.algorithm)
  running.update(body)
  const value = Buffer.from(await running.digest()).toString('base64')
  checkAnnounced(announced, { algorithm: announced.algorithm, value, type: 'FULL_OBJECT' })
}

/** A client set to another region signs for it; AWS names the right one. */
function checkRegion(request: SignedRequest, region: string): void {
  if (request.region === region) return
  throw new ServiceError(
    400,
    'AuthorizationHeaderMalformed',
    `The authorization header is malformed; the region '${request.region}' is wrong; expecting '${region}'`,
    { Region: region },
  )
}

function checkOwner(expected: unknown, account: string): void {
  if (expected !== undefined && expected !== account) {
    throw new ServiceError(403, 'AccessDenied', 'Access Denied: the bucket has another owner.')
  }
}
