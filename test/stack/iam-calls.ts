import { type ObservedCall, ServiceError } from '../../local/http/service.ts'
import type { Account, Call } from './account.ts'

type Tags = (instance: string) => Record<string, string>
type Input = Record<string, unknown>

/**
 * What IAM is asked for a call that was observed: AWS authorizes a call by the actions that its reference names for
 * it, each on its own resource. Undefined where we have not said which.
 */
export function iamCalls(account: Account, call: ObservedCall, tagsOf: Tags): Call[] | undefined {
  const { service, operation } = call
  const input = call.input as Input
  if (service === 's3') return s3Calls(account, call, input)
  if (service === 'ssm') return ssmCalls(account, operation, input, tagsOf)
  if (service === 'lambda') return lambdaCalls(account, operation, input)
  if (service === 'sqs' && operation === 'GetQueueAttributes') return queueCalls(account, operation, input)
  if (service === 'monitoring' && operation === 'DescribeAlarms') return describeAlarmsCalls(account, input)
  if (service === 'events' && operation === 'PutEvents') return putEventsCalls(account, input)
  return undefined
}

function s3Calls(
  account: Account,
  { operation, headers, principal, error }: ObservedCall,
  input: Input,
): Call[] | undefined {
  const [, instance] = /^role\/(i-\w+)$/.exec(principal) ?? []
  const context: Call['context'] = {
    's3:TlsVersion': '1.3',
    ...(instance && account.sourceInstance(instance)),
  }
  const object = `${account.bucket}/${input.Key}`
  const list = (prefix: unknown): Call => ({
    action: 's3:ListBucket',
    resource: account.bucket,
    context: { ...context, 's3:prefix': String(prefix ?? '') },
  })
  // Whether it says 404 or 403, S3 decides as if the key were listed: https://github.com/ceph/ceph/pull/68577
  const isMissing = error instanceof ServiceError && error.code === 'NoSuchKey'
  const read = (resource: string, version: unknown): Call[] => [
    ...(isMissing ? [list(input.Key)] : []),
    { action: version ? 's3:GetObjectVersion' : 's3:GetObject', resource, context },
    { action: 'kms:Decrypt', resource: account.key },
  ]
  const write = (isCreation: boolean): Call[] => {
    const conditions = Object.entries({
      's3:if-none-match': headers['if-none-match'],
      's3:if-match': headers['if-match'],
    })
    const given = conditions.filter((entry): entry is [string, string] => entry[1] !== undefined)
    const creation = { 's3:ObjectCreationOperation': String(isCreation) }
    return [
      {
        action: 's3:PutObject',
        resource: object,
        context: { ...context, ...creation, ...Object.fromEntries(given) },
      },
      { action: 'kms:GenerateDataKey', resource: account.key },
    ]
  }
  // A multipart upload under a key of KMS reads what it had encrypted.
  const part = [...write(false), { action: 'kms:Decrypt', resource: account.key }]
  const [source, sourceVersion] = copySource(input)
  switch (operation) {
    case 'GetObject':
    case 'HeadObject':
      return read(object, input.VersionId)
    case 'PutObject':
      return write(true)
    case 'CopyObject':
      return [...read(source, sourceVersion), ...write(true)]
    case 'CreateMultipartUpload':
    case 'UploadPart':
      return part
    case 'UploadPartCopy':
      return [...read(source, sourceVersion), ...part]
    case 'CompleteMultipartUpload':
      return [...write(true), { action: 'kms:Decrypt', resource: account.key }]
    case 'AbortMultipartUpload':
      return [{ action: 's3:AbortMultipartUpload', resource: object, context }]
    case 'GetObjectTagging':
    case 'PutObjectTagging': {
      const action = operation.replace('Object', input.VersionId ? 'ObjectVersion' : 'Object')
      return [{ action: `s3:${action}`, resource: object, context }]
    }
    case 'ListObjectsV2':
      return [list(input.Prefix)]
    default:
      return undefined
  }
}

function copySource({ CopySource }: Input): [resource: string, version: string | undefined] {
  const [path = '', version] = String(CopySource ?? '').split('?versionId=')
  return [`arn:aws:s3:::${decodeURIComponent(path)}`, version]
}

function ssmCalls(account: Account, operation: string, input: Input, tagsOf: Tags): Call[] | undefined {
  const action = `ssm:${operation}`
  const name = String(input.DocumentName ?? input.Name)
  const document = account.arn('ssm', `document/${name}`)
  switch (operation) {
    case 'SendCommand':
      return [
        { action, resource: document },
        ...((input.InstanceIds ?? []) as string[]).map((id) => ({
          action,
          resource: account.arn('ec2', `instance/${id}`),
          context: Object.fromEntries(
            Object.entries(tagsOf(id)).map(([key, value]) => [`ssm:resourceTag/${key}`, value]),
          ),
        })),
      ]
    case 'DescribeDocument':
    case 'GetDocument':
      return [{ action, resource: document }]
    case 'ListCommands':
    case 'ListCommandInvocations':
    case 'DescribeInstanceInformation':
    case 'DescribeInstanceProperties':
      return [{ action, resource: '*' }]
    default:
      return undefined
  }
}

function queueCalls(account: Account, operation: string, { QueueUrl }: Input): Call[] {
  const name = String(QueueUrl).split('/').at(-1)
  return [{ action: `sqs:${operation}`, resource: account.arn('sqs', String(name)) }]
}

function describeAlarmsCalls(account: Account, { AlarmNames }: Input): Call[] {
  return (AlarmNames as string[]).map((name) => ({
    action: 'cloudwatch:DescribeAlarms',
    resource: account.arn('cloudwatch', `alarm:${name}`),
  }))
}

/** IAM sees what all entries of a call say together; ours have one. */
function putEventsCalls(account: Account, { Entries }: Input): Call[] {
  return (Entries as Record<string, string>[]).map(({ Source = '', DetailType = '', EventBusName }) => ({
    action: 'events:PutEvents',
    resource: account.arn('events', `event-bus/${EventBusName ?? 'default'}`),
    context: { 'events:source': [Source], 'events:detail-type': [DetailType] },
  }))
}

function lambdaCalls(account: Account, operation: string, input: Input): Call[] | undefined {
  const name = String(input.FunctionName ?? '')
  const arn = name.startsWith('arn:') ? name : account.arn('lambda', `function:${name}`)
  const resource = input.Qualifier ? `${arn}:${input.Qualifier}` : arn
  switch (operation) {
    case 'Invoke':
      return [{ action: 'lambda:InvokeFunction', resource }]
    case 'ListDurableExecutionsByFunction':
    case 'GetAlias':
      return [{ action: `lambda:${operation}`, resource }]
    case 'CheckpointDurableExecution':
    case 'GetDurableExecutionState':
      return [{ action: `lambda:${operation}`, resource: String(input.DurableExecutionArn) }]
    default:
      return undefined
  }
}
