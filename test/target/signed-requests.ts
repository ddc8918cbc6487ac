import { randomBytes } from 'node:crypto'
import { requestKey } from '../../lib/release/keys.ts'
import type { SignedStatement, Statement } from '../../lib/release/statement.ts'
import { type PublishedRelease, SCOPE } from './artifacts.ts'
import type { BucketAndMetadata } from './bucket-and-metadata.ts'

export const newRequestId = () => `20261122t101500z-${randomBytes(4).toString('hex')}`

export function statementFor(
  { digests }: PublishedRelease,
  request: string,
  changes: Partial<Statement> = {},
): Statement {
  return {
    format: 1,
    request,
    action: 'deploy',
    bucket: 'the-bucket',
    ...SCOPE,
    ...digests,
    serial: 1,
    replaces: 0,
    ...changes,
  }
}

/** Puts a request into the bucket as it may come from anywhere. */
export function ask(
  bucket: BucketAndMetadata,
  id: string,
  signed: Partial<SignedStatement> | undefined,
): string {
  bucket.put(requestKey(SCOPE, id), JSON.stringify({ id, signed }))
  return id
}
