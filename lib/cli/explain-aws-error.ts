import { UserError } from '../user-error.ts'

/** What AWS says when the user's settings are wrong; known by name, since only lib/aws knows the SDK. */
const EXPLANATIONS: Record<string, string> = {
  AccessDenied:
    'these credentials may not do this: check the profile, and that its role may publish to the bucket',
  AuthorizationHeaderMalformed: 'the bucket is in another region: check "region" of this environment',
  BadRequest: 'refused: check "region" of this environment, and that the credentials have not expired',
  CredentialsProviderError: 'no AWS credentials: log in, or name a profile that has some with --profile',
  ExpiredToken: 'the AWS credentials have expired: log in again',
  ExpiredTokenException: 'the AWS credentials have expired: log in again',
  InternalError: 'a fault on its side: try again',
  InvalidAccessKeyId: 'AWS does not know this access key: check the profile',
  NoSuchBucket: 'there is no such bucket: check "bucket" of this environment, and that the stack is deployed',
  PermanentRedirect: 'the bucket is in another region: check "region" of this environment',
  RequestTimeTooSkewed: "this machine's clock is wrong",
  ServiceUnavailable: 'a fault on its side: try again',
  SignatureDoesNotMatch: 'the secret access key is wrong: check the profile',
  ECONNREFUSED: 'nothing answers there: is the local cloud running (npm run local)?',
  ENOTFOUND: 'its name is not known: check "region" of this environment, and the network',
  ETIMEDOUT: 'it does not answer: check the network',
}

/** A UserError for what the user can mend; anything else as it came. */
export function explainAwsError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof UserError) return error
  const name = namesOf(error).find((known) => known in EXPLANATIONS)
  if (name) return new UserError(`AWS: ${EXPLANATIONS[name]} (${detail(error, name)}).`, { cause: error })
  if (/^Region is missing/.test(error.message)) {
    const hint = 'name it with "region" in the configuration of this environment, or --region'
    return new UserError(`AWS: no region: ${hint}.`, { cause: error })
  }
  return error
}

/** S3 names the bucket beside its message, not in it. */
function detail(error: Error, name: string): string {
  const { BucketName: bucket } = error as { BucketName?: unknown }
  const message = error.message || name
  return typeof bucket === 'string' && !message.includes(bucket) ? `${message}: "${bucket}"` : message
}

/** A HEAD is answered without a body, so with nothing but a status. */
const STATUSES: Record<number, string> = {
  301: 'PermanentRedirect',
  400: 'BadRequest',
  403: 'AccessDenied',
  500: 'InternalError',
  503: 'ServiceUnavailable',
}

function namesOf(error: Error): string[] {
  const { code, $metadata } = error as { code?: unknown; $metadata?: { httpStatusCode?: number } }
  return [error.name, String(code), STATUSES[$metadata?.httpStatusCode ?? 0] ?? '']
}
