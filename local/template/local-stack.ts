import { basename } from 'node:path'
import type { LifecycleRule } from '@aws-sdk/client-s3'
import { UserError } from '../../lib/user-error.ts'
import type { EventRule } from '../events/event-bus.ts'
import type { EventPattern } from '../events/event-pattern.ts'
import type { NotificationRule } from '../events/storage-notifications.ts'
import type { AliasConfig, AsyncConfig, FunctionConfig } from '../lambda/function-config.ts'
import type { Assembly } from './assembly.ts'
import { type LocalResource, resolve, type Scope } from './intrinsics.ts'
import { nameResource } from './local-names.ts'
import * as schemas from './resource-schemas.ts'

/** What the template asks for, as the parts of the local cloud take it. */
export interface LocalStack {
  buckets: { name: string; isVersioned: boolean; lifecycle: LifecycleRule[] }[]
  notifications: NotificationRule[]
  functions: FunctionConfig[]
  aliases: AliasConfig[]
  rules: EventRule[]
  queues: string[]
  alarms: schemas.Alarm[]
  /** What becomes of asynchronous invocations that fail, by the function's name. */
  asyncConfigs: Record<string, AsyncConfig>
  documents: { name: string; content: Record<string, unknown>; versionName?: string | undefined }[]
  associations: schemas.Association[]
  outputs: Record<string, string>
}

export interface StackOptions {
  region: string
  account: string
}

/** Permissions, keys and logs have no counterpart here; their names are all that others ask of them. */
const HARMLESS = [
  'AWS::IAM::Role',
  'AWS::IAM::Policy',
  'AWS::IAM::ManagedPolicy',
  'AWS::KMS::Key',
  'AWS::KMS::Alias',
  'AWS::Logs::LogGroup',
  'AWS::S3::BucketPolicy',
  'AWS::Lambda::Permission',
  'AWS::Lambda::Version',
  'AWS::SQS::QueuePolicy',
  'AWS::CDK::Metadata',
]

/** Reads the stack of an assembly; what the local cloud would have to leave out is an error. */
export function readStack(assembly: Assembly, { region, account }: StackOptions): LocalStack {
  const { stackName, template } = assembly
  const resources = new Map<string, LocalResource>()
  const scope: Scope = { resources, pseudo: pseudoParameters(stackName, region, account) }
  for (const [id, resource] of Object.entries(template.Resources)) {
    resources.set(id, nameResource(id, resource, { region, account, stackName }))
  }
  const stack = emptyStack()
  const providers = customResourceProviders(assembly)
  for (const [id, { Type, Properties = {} }] of Object.entries(template.Resources)) {
    const read = READERS[Type]
    if (HARMLESS.includes(Type) || providers.has(id)) continue
    if (!read) throw unknownResource(id, Type)
    const resource = resources.get(id)
    const properties = explain(id, Type, () => resolve(Properties, scope))
    if (resource) explain(id, Type, () => read({ stack, assembly, resource, properties }))
  }
  for (const [name, { Value }] of Object.entries(template.Outputs ?? {})) {
    stack.outputs[name] = String(explain(name, 'Output', () => resolve(Value, scope)))
  }
  return stack
}

interface Reading {
  stack: LocalStack
  assembly: Assembly
  resource: LocalResource
  properties: unknown
}

const READERS: Record<string, (reading: Reading) => void> = {
  'AWS::S3::Bucket': ({ stack, resource, properties }) => {
    const { VersioningConfiguration, LifecycleConfiguration } = schemas.bucket.parse(properties)
    const isVersioned = VersioningConfiguration?.Status === 'Enabled'
    const lifecycle = LifecycleConfiguration.Rules.map(lifecycleRule)
    stack.buckets.push({ name: resource.ref, isVersioned, lifecycle })
  },
  'Custom::S3BucketNotifications': ({ stack, properties }) => {
    const { BucketName, NotificationConfiguration: given } = schemas.notifications.parse(properties)
    for (const { Events, Filter, LambdaFunctionArn } of given.LambdaFunctionConfigurations) {
      const filters = Filter?.Key.FilterRules ?? []
      const filter = (name: string) => filters.find((rule) => rule.Name.toLowerCase() === name)?.Value ?? ''
      stack.notifications.push({
        bucket: BucketName,
        events: Events,
        prefix: filter('prefix'),
        suffix: filter('suffix'),
        functionArn: LambdaFunctionArn,
      })
    }
  },
  'AWS::Lambda::Function': ({ stack, resource, assembly, properties }) => {
    stack.functions.push(readFunction(resource.ref, properties, assembly))
  },
  'AWS::Lambda::Alias': ({ stack, resource, properties }) => {
    const { FunctionName, Name } = schemas.alias.parse(properties)
    stack.aliases.push({ functionName: FunctionName, name: Name })
    resource.ref = `${FunctionName}:${Name}`
  },
  'AWS::Events::Rule': ({ stack, resource, properties }) => {
    const { EventPattern: pattern, ScheduleExpression, State, Targets } = schemas.rule.parse(properties)
    if (State === 'DISABLED') return
    stack.rules.push({
      name: resource.ref,
      arn: resource.attributes.Arn ?? '',
      ...(pattern && { pattern: pattern as EventPattern }),
      ...(ScheduleExpression && { schedule: ScheduleExpression }),
      targets: Targets.map(({ Arn, Input }) => ({ functionArn: Arn, ...(Input && { input: Input }) })),
    })
  },
  'AWS::CloudWatch::Alarm': ({ stack, properties }) => {
    stack.alarms.push(schemas.alarm.parse(properties))
  },
  'AWS::SQS::Queue': ({ stack, resource }) => {
    stack.queues.push(resource.attributes.QueueName ?? '')
  },
  'AWS::Lambda::EventInvokeConfig': ({ stack, properties }) => {
    const { FunctionName, MaximumRetryAttempts, DestinationConfig } =
      schemas.eventInvokeConfig.parse(properties)
    stack.asyncConfigs[FunctionName] = {
      retries: MaximumRetryAttempts,
      failureQueueArn: DestinationConfig?.OnFailure?.Destination,
    }
  },
  'AWS::SSM::Document': ({ stack, resource, properties }) => {
    const { Content, VersionName } = schemas.document.parse(properties)
    stack.documents.push({ name: resource.ref, content: Content, versionName: VersionName })
  },
  'AWS::SSM::Association': ({ stack, properties }) => {
    stack.associations.push(schemas.association.parse(properties))
  },
}

/** As S3's own API has it. */
function lifecycleRule(rule: schemas.LifecycleRule): LifecycleRule {
  const { Status, Prefix = '', TagFilters, ExpirationInDays: Days, ExpiredObjectDeleteMarker } = rule
  const { NoncurrentVersionExpiration, AbortIncompleteMultipartUpload } = rule
  return {
    Status,
    Filter: TagFilters.length > 0 ? { And: { Prefix, Tags: TagFilters } } : { Prefix },
    ...((Days || ExpiredObjectDeleteMarker) && { Expiration: { Days, ExpiredObjectDeleteMarker } }),
    ...(NoncurrentVersionExpiration && { NoncurrentVersionExpiration }),
    ...(AbortIncompleteMultipartUpload && { AbortIncompleteMultipartUpload }),
  }
}

function readFunction(name: string, properties: unknown, assembly: Assembly): FunctionConfig {
  const given = schemas.lambdaFunction.parse(properties)
  const directory = assembly.assetDirectory(given.Code.S3Key)
  if (!directory) throw new Error(`its code "${given.Code.S3Key}" is no asset of the assembly`)
  return {
    name,
    handler: given.Handler,
    directory,
    codeHash: basename(directory).replace(/^asset\./, ''),
    environment: given.Environment?.Variables ?? {},
    timeoutSeconds: given.Timeout,
    memoryMb: given.MemorySize,
    role: given.Role.split('/').at(-1) ?? name,
    ...(given.DurableConfig && {
      durable: {
        executionTimeoutSeconds: given.DurableConfig.ExecutionTimeout,
        retentionDays: given.DurableConfig.RetentionPeriodInDays,
      },
    }),
  }
}

/** The functions behind custom resources: what they do in AWS the local cloud does when it boots. */
function customResourceProviders({ template }: Assembly): Set<string> {
  const tokens = Object.values(template.Resources)
    .filter(({ Type }) => Type.startsWith('Custom::'))
    .map(({ Properties }) => schemas.serviceToken.safeParse(Properties).data)
  return new Set(tokens.flatMap((token) => token?.ServiceToken['Fn::GetAtt'][0] ?? []))
}

function emptyStack(): LocalStack {
  return {
    buckets: [],
    notifications: [],
    functions: [],
    aliases: [],
    rules: [],
    queues: [],
    alarms: [],
    asyncConfigs: {},
    documents: [],
    associations: [],
    outputs: {},
  }
}

function pseudoParameters(stackName: string, region: string, account: string): Record<string, string> {
  return {
    'AWS::AccountId': account,
    'AWS::Region': region,
    'AWS::Partition': 'aws',
    'AWS::StackName': stackName,
    'AWS::StackId': `arn:aws:cloudformation:${region}:${account}:stack/${stackName}/local`,
    'AWS::URLSuffix': 'amazonaws.com',
  }
}

function explain<T>(id: string, type: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : cause
    throw new UserError(`The local cloud cannot read "${id}" (${type}) of the template: ${why}.`, { cause })
  }
}

function unknownResource(id: string, type: string): UserError {
  return new UserError(
    `The template has "${id}" of type ${type}, which the local cloud does not have. Add it to local/template/local-stack.ts, or to the types there that are without effect here.`,
  )
}
