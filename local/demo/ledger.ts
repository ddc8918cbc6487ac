import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { type AppScope, codeKey, rolloutsPrefix } from '../../lib/release/keys.ts'
import { type RolloutRecord, rolloutRecord } from '../../lib/release/record.ts'

/** The bucket as anybody with an S3 client sees it. */
export class Ledger {
  readonly #s3: S3Client
  readonly #bucket: string

  constructor(env: Record<string, string>, bucket: string) {
    this.#bucket = bucket
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
    const listing = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: rolloutsPrefix(scope) })
    const { Contents } = await this.#s3.send(listing)
    const keys = (Contents ?? []).map(({ Key }) => Key ?? '')
    const records = await Promise.all(keys.map((key) => this.#record(key)))
    return records.sort((a, b) => b.startedAt.localeCompare(a.startedAt))
  }

  async drop(scope: AppScope, name: string, archive: Uint8Array): Promise<string> {
    const key = codeKey(scope, name)
    await this.#s3.send(new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: archive }))
    return key
  }

  async #record(key: string): Promise<RolloutRecord> {
    const { Body } = await this.#s3.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }))
    return rolloutRecord.parse(JSON.parse((await Body?.transformToString()) ?? ''))
  }
}
