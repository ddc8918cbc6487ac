import { randomBytes } from 'node:crypto'
import { requestKey } from '../../lib/release/keys.ts'
import type { SignedStatement, Statement } from '../../lib/release/statement.ts'
import { type PublishedRelease, SCOPE } from './artifacts.ts'
import type { BucketAndMetadata } from './bucket-and-metadata.ts'

export function statementFor({ digests }: PublishedRelease, changes: Partial<Statement> = {}): Statement {
  return { format: 1, action: 'deploy', ...SCOPE, ...digests, serial: 1, replaces: 0, ...changes }
}

/** Puts a request into the bucket as it may come from anywhere; its id. */
export function ask(bucket: BucketAndMetadata, signed: Partial<SignedStatement> | undefined): string {
  const id = `20261122t101500z-${randomBytes(4).toString('hex')}`
  bucket.put(requestKey(SCOPE, id), JSON.stringify({ id, signed }))
  return id
}
