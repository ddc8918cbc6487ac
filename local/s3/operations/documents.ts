import type {
  BucketLifecycleConfiguration,
  PutBucketVersioningRequest,
  ServerSideEncryptionConfiguration,
} from '@aws-sdk/client-s3'
import { ServiceError } from '../../http/service.ts'
import type { Call } from '../call.ts'
import { malformedXml, notImplemented } from '../errors.ts'
import { NAMESPACE } from '../schema.ts'

/** A bucket's configuration documents are kept as they were sent, once the SDK's model could read them. */
interface DocumentKind {
  name: string
  put: string
  get: string
  delete?: string
  /** What a bucket that never was given one answers: a document, or an error. */
  initial?: string
  missing?: [code: string, message: string]
  check?: (value: never, call: Call) => void
}

type Handler = (input: { Bucket: string; $body?: string; $value?: unknown }, call: Call) => object

export const documentHandlers: Record<string, Handler> = {}

const xml = (root: string, content: string) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="${NAMESPACE}">${content}</${root}>`

const KINDS: DocumentKind[] = [
  {
    name: 'versioning',
    put: 'PutBucketVersioning',
    get: 'GetBucketVersioning',
    initial: xml('VersioningConfiguration', ''),
    check: checkVersioning,
  },
  {
    name: 'policy',
    put: 'PutBucketPolicy',
    get: 'GetBucketPolicy',
    delete: 'DeleteBucketPolicy',
    missing: ['NoSuchBucketPolicy', 'The bucket policy does not exist'],
    check: checkPolicy,
  },
  {
    name: 'lifecycle',
    put: 'PutBucketLifecycleConfiguration',
    get: 'GetBucketLifecycleConfiguration',
    delete: 'DeleteBucketLifecycle',
    missing: ['NoSuchLifecycleConfiguration', 'The lifecycle configuration does not exist'],
    check: ({ Rules = [] }: BucketLifecycleConfiguration) => needsEntries(Rules, 'Rule'),
  },
  {
    name: 'encryption',
    put: 'PutBucketEncryption',
    get: 'GetBucketEncryption',
    delete: 'DeleteBucketEncryption',
    initial: xml(
      'ServerSideEncryptionConfiguration',
      '<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>',
    ),
    check: ({ Rules = [] }: ServerSideEncryptionConfiguration) => needsEntries(Rules, 'Rule'),
  },
  {
    name: 'public-access-block',
    put: 'PutPublicAccessBlock',
    get: 'GetPublicAccessBlock',
    delete: 'DeletePublicAccessBlock',
    initial: xml(
      'PublicAccessBlockConfiguration',
      '<BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>',
    ),
  },
  {
    name: 'notification',
    put: 'PutBucketNotificationConfiguration',
    get: 'GetBucketNotificationConfiguration',
    initial: xml('NotificationConfiguration', ''),
  },
  {
    name: 'ownership-controls',
    put: 'PutBucketOwnershipControls',
    get: 'GetBucketOwnershipControls',
    delete: 'DeleteBucketOwnershipControls',
    initial: xml('OwnershipControls', '<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>'),
  },
  {
    name: 'tagging',
    put: 'PutBucketTagging',
    get: 'GetBucketTagging',
    delete: 'DeleteBucketTagging',
    missing: ['NoSuchTagSet', 'The TagSet does not exist'],
  },
]

for (const kind of KINDS) {
  documentHandlers[kind.put] = ({ Bucket, $body = '', $value }, call) => {
    const bucket = call.buckets.find(Bucket)
    kind.check?.($value as never, call)
    bucket.putDocument(kind.name, $body)
    return {}
  }
  documentHandlers[kind.get] = ({ Bucket }, call) => {
    const text = call.buckets.find(Bucket).document(kind.name) ?? kind.initial
    if (text !== undefined) return { $xml: text }
    const [code = '', message = ''] = kind.missing ?? []
    throw new ServiceError(404, code, message, { BucketName: Bucket })
  }
  if (!kind.delete) continue
  documentHandlers[kind.delete] = ({ Bucket }, call) => {
    call.buckets.find(Bucket).removeDocument(kind.name)
    return {}
  }
}

function checkVersioning(value: NonNullable<PutBucketVersioningRequest['VersioningConfiguration']>): void {
  if (value.MFADelete === 'Enabled') throw notImplemented('MfaDelete')
  if (value.Status === 'Enabled' || value.Status === 'Suspended') return
  throw new ServiceError(
    400,
    'IllegalVersioningConfigurationException',
    'The Versioning element must be specified',
  )
}

function checkPolicy(text: string): void {
  const malformed = (why: string) => new ServiceError(400, 'MalformedPolicy', why)
  let policy: unknown
  try {
    policy = JSON.parse(text)
  } catch {
    throw malformed('Policies must be valid JSON and the first byte must be "{"')
  }
  if (typeof policy !== 'object' || policy === null || !('Statement' in policy)) {
    throw malformed('Missing required field Statement')
  }
}

function needsEntries(entries: readonly unknown[], name: string): void {
  if (entries.length === 0) throw malformedXml(`it needs at least one ${name}`)
}
