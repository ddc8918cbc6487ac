import { createHash } from 'node:crypto'
import type { Resource } from './assembly.ts'
import type { LocalResource } from './intrinsics.ts'

export interface Place {
  region: string
  account: string
  stackName: string
}

type Naming = (id: string, properties: Record<string, unknown>, place: Place) => LocalResource

const BUCKET: Naming = (id, { BucketName }, { stackName, region }) => {
  const name = given(BucketName) ?? shorten(`${stackName}-${id}`.toLowerCase(), 63)
  const Arn = `arn:aws:s3:::${name}`
  const DomainName = `${name}.s3.amazonaws.com`
  const RegionalDomainName = `${name}.s3.${region}.amazonaws.com`
  return { ref: name, attributes: { Arn, DomainName, RegionalDomainName } }
}

const FUNCTION: Naming = (id, { FunctionName }, { stackName, region, account }) => {
  const name = given(FunctionName) ?? shorten(`${stackName}-${id}`, 64)
  return { ref: name, attributes: { Arn: `arn:aws:lambda:${region}:${account}:function:${name}` } }
}

const RULE: Naming = (id, { Name }, { stackName, region, account }) => {
  const name = given(Name) ?? shorten(`${stackName}-${id}`, 64)
  return { ref: name, attributes: { Arn: `arn:aws:events:${region}:${account}:rule/${name}` } }
}

const DOCUMENT: Naming = (id, { Name }, { stackName }) => ({
  ref: given(Name) ?? shorten(`${stackName}-${id}`, 128),
  attributes: {},
})

const ROLE: Naming = (id, { RoleName }, { stackName, account }) => {
  const name = given(RoleName) ?? shorten(`${stackName}-${id}`, 64)
  const Arn = `arn:aws:iam::${account}:role/${name}`
  return { ref: name, attributes: { Arn, RoleId: name } }
}

const KEY: Naming = (id, _properties, { region, account }) => {
  const hash = createHash('sha256').update(id).digest('hex')
  const keyId = hash.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')
  return { ref: keyId, attributes: { Arn: `arn:aws:kms:${region}:${account}:key/${keyId}`, KeyId: keyId } }
}

const LOG_GROUP: Naming = (id, { LogGroupName }, { stackName, region, account }) => {
  const name = given(LogGroupName) ?? `${stackName}-${id}`
  return { ref: name, attributes: { Arn: `arn:aws:logs:${region}:${account}:log-group:${name}:*` } }
}

/** Its URL is AWS's, as the local one is not known before the endpoint listens. */
const QUEUE: Naming = (id, { QueueName }, { stackName, region, account }) => {
  const name = given(QueueName) ?? shorten(`${stackName}-${id}`, 80)
  const Arn = `arn:aws:sqs:${region}:${account}:${name}`
  return {
    ref: `https://sqs.${region}.amazonaws.com/${account}/${name}`,
    attributes: { Arn, QueueName: name },
  }
}

const MANAGED_POLICY: Naming = (id, _properties, { stackName, account }) => {
  const arn = `arn:aws:iam::${account}:policy/${stackName}-${id}`
  return { ref: arn, attributes: { PolicyArn: arn } }
}

/** Versions are numbered when they are published: only their aliases are used to invoke. */
const OTHER: Naming = (id, _properties, { stackName }) => ({
  ref: `${stackName}-${id}`,
  attributes: { Arn: `${stackName}-${id}`, Version: '$LATEST', AssociationId: id },
})

const NAMINGS: Record<string, Naming> = {
  'AWS::S3::Bucket': BUCKET,
  'AWS::Lambda::Function': FUNCTION,
  'AWS::Events::Rule': RULE,
  'AWS::SSM::Document': DOCUMENT,
  'AWS::IAM::Role': ROLE,
  'AWS::KMS::Key': KEY,
  'AWS::Logs::LogGroup': LOG_GROUP,
  'AWS::IAM::ManagedPolicy': MANAGED_POLICY,
  'AWS::SQS::Queue': QUEUE,
}

/** The name and the attributes that a resource has here; the same at every start. */
export function nameResource(id: string, { Type, Properties = {} }: Resource, place: Place): LocalResource {
  return (NAMINGS[Type] ?? OTHER)(id, Properties, place)
}

const given = (name: unknown) => (typeof name === 'string' ? name : undefined)

/** Keeps the end, whose hash makes logical ids unique. */
function shorten(name: string, length: number): string {
  return name.slice(-length).replace(/^-+/, '')
}
