import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { type AppScope, codeKey, requestKey, rolloutKey, rolloutsPrefix } from '../../lib/release/keys.ts'
import { type RolloutRecord, rolloutRecord } from '../../lib/release/record.ts'
import { type DeployRequest, request } from '../../lib/release/request.ts'

/** The bucket as anybody with an S3 client sees it. */
export class Ledger {
  readonly #s3: S3Client
  readonly bucket: string

  constructor(env: Record<string, string>, bucket: string) {
    this.bucket = bucket
    this.#s3 = new S3Client({
      endpoint: env.AWS_ENDPOINT_URL ?? '',
      region: env.AWS_REGION ?? 'us-east-1',
      credentials: {
        accessKeyId: env.AWS_ACCESS_KEY_ID ?? '',
        secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? '',
      },
    })
  }

  /** The latest first. */
  async records(scope: AppScope): Promise<RolloutRecord[]> {
    const listing = new ListObjectsV2Command({ Bucket: this.bucket, Prefix: rolloutsPrefix(scope) })
    const { Contents } = await this.#s3.send(listing)
    const keys = (Contents ?? []).map(({ Key }) => Key ?? '')
    const records = await Promise.all(keys.map(async (key) => rolloutRecord.parse(await this.#read(key))))
    return records.sort((a, b) => b.startedAt.localeCompare(a.startedAt))
  }

  async record(scope: AppScope, id: string): Promise<RolloutRecord> {
    return rolloutRecord.parse(await this.#read(rolloutKey(scope, id)))
  }

  async request(scope: AppScope, id: string): Promise<DeployRequest> {
    return request.parse(await this.#read(requestKey(scope, id))) as DeployRequest
  }

  async drop(scope: AppScope, name: string, archive: Uint8Array, metadata = {}): Promise<string> {
    const key = codeKey(scope, name)
    const object = { Bucket: this.bucket, Key: key, Body: archive, Metadata: metadata }
    await this.#s3.send(new PutObjectCommand(object))
    return key
  }

  /** As anybody could write it who may upload. */
  async ask(scope: AppScope, asked: DeployRequest): Promise<void> {
    const object = { Bucket: this.bucket, Key: requestKey(scope, asked.id), Body: JSON.stringify(asked) }
    await this.#s3.send(new PutObjectCommand({ ...object, IfNoneMatch: '*' }))
  }

  async #read(key: string): Promise<unknown> {
    const { Body } = await this.#s3.send(new GetObjectCommand({ Bucket: this.bucket, Key: key }))
    return JSON.parse((await Body?.transformToString()) ?? '')
  }
}
