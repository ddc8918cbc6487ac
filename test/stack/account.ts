import { runSimulation } from '@cloud-copilot/iam-simulate'
import type { Template } from '../../local/template/assembly.ts'
import { resolve } from '../../local/template/intrinsics.ts'
import { nameResource } from '../../local/template/local-names.ts'

const ACCOUNT = '123456789012'
const REGION = 'us-east-1'
const PSEUDO = { 'AWS::AccountId': ACCOUNT, 'AWS::Region': REGION, 'AWS::Partition': 'aws' }

/** A call as IAM sees it: what is done to what, and what the request says beside. */
export interface Call {
  action: string
  resource: string
  context?: Record<string, string | string[]>
}

interface Statement {
  Effect: string
  Action: string | string[]
  Resource: string | string[]
}

interface Policy {
  PolicyDocument: { Statement: Statement[] }
  Roles?: string[]
}

/** An action that a policy grants, and the pattern of what it may be done to. */
export type Grant = Pick<Call, 'action' | 'resource'>

interface Role {
  ManagedPolicyArns?: string[]
}

/** An account into which a template was deployed, in which IAM is asked what its policies let whom do. */
export function openAccount({ Resources }: Pick<Template, 'Resources'>, stackName = 'Pybundle') {
  const place = { region: REGION, account: ACCOUNT, stackName }
  const resources = new Map(
    Object.entries(Resources).map(([id, resource]) => [id, nameResource(id, resource, place)]),
  )
  // What CloudFormation gives for an alias is its ARN.
  for (const [id, { Type, Properties = {} }] of Object.entries(Resources)) {
    const { FunctionName, Name } = resolve(Properties, { resources, pseudo: PSEUDO }) as Record<
      string,
      string
    >
    const ref = `arn:aws:lambda:${REGION}:${ACCOUNT}:function:${FunctionName}:${Name}`
    if (Type === 'AWS::Lambda::Alias') resources.set(id, { ref, attributes: {} })
  }
  const ofType = <Properties>(type: string) =>
    Object.entries(Resources)
      .filter(([, resource]) => resource.Type === type)
      .map(([id, resource]) => ({
        id,
        ref: resources.get(id)?.ref ?? '',
        arn: resources.get(id)?.attributes.Arn ?? '',
        properties: resolve(resource.Properties ?? {}, { resources, pseudo: PSEUDO }) as Properties,
      }))

  const [bucket] = ofType('AWS::S3::Bucket')
  const [bucketPolicy] = ofType<Policy>('AWS::S3::BucketPolicy')
  const [key] = ofType<{ KeyPolicy: object }>('AWS::KMS::Key')
  const [queue] = ofType('AWS::SQS::Queue')
  const [queuePolicy] = ofType<Policy>('AWS::SQS::QueuePolicy')
  const own = [
    { arn: queue?.arn, policy: queuePolicy?.properties.PolicyDocument },
    { arn: bucket?.arn, policy: bucketPolicy?.properties.PolicyDocument },
    { arn: key?.arn, policy: key?.properties.KeyPolicy },
  ]
  const policies = ofType<Policy>('AWS::IAM::Policy')
  const managed = ofType<Policy>('AWS::IAM::ManagedPolicy')

  return {
    bucket: bucket?.arn ?? '',
    key: key?.arn ?? '',
    queue: queue?.arn ?? '',
    arn: (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`,
    /** The resources of a type, with names in the place of references. */
    ofType,
    functionArn: (id: string) =>
      ofType('AWS::Lambda::Function').find((lambda) => lambda.id.startsWith(id))?.arn ?? '',
    /** What a request says that is made with the role of an instance. */
    sourceInstance: (id: string) => ({
      'ec2:SourceInstanceARN': `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/${id}`,
    }),
    /** Each action that a policy of the stack names. */
    actions: [...policies, ...managed, ...(bucketPolicy ? [bucketPolicy] : [])].flatMap(({ properties }) =>
      properties.PolicyDocument.Statement.flatMap(({ Action }) => Action),
    ),
    /** What the stack's policy for these people or instances says. */
    attached(environment: string, app: string, name: 'Publisher' | 'Viewer' | 'Target'): object[] {
      const found = managed.filter(({ id }) => id.startsWith(`Access${environment}${app}${name}`))
      if (found.length !== 1) throw new Error(`${found.length} policies ${name} of ${environment} and ${app}`)
      return found.map(({ properties }) => properties.PolicyDocument)
    },
    /** What a function may do, by the beginning of its role's logical id or by the role's name. */
    ofRole(name: string): object[] {
      const role = ofType<Role>('AWS::IAM::Role').find(({ id, ref }) => id.startsWith(name) || ref === name)
      if (!role) throw new Error(`no role ${name}`)
      const { ManagedPolicyArns = [] } = role.properties
      if (ManagedPolicyArns.length > 0) throw new Error(`${name} has policies of AWS: ${ManagedPolicyArns}`)
      // Where a role's own policy would grow too long, CDK attaches others.
      const held = [...policies, ...managed].filter(({ properties }) => properties.Roles?.includes(role.ref))
      return held.map(({ properties }) => properties.PolicyDocument)
    },
    /** `Allowed`, `ExplicitlyDenied` or `ImplicitlyDenied`; a call that IAM does not know is an error. */
    async decide(held: readonly object[], { action, resource, context = {} }: Call): Promise<string> {
      const result = await runSimulation(
        {
          request: {
            principal: `arn:aws:iam::${ACCOUNT}:role/somebody`,
            action,
            resource: { resource, accountId: ACCOUNT },
            contextVariables: { 'aws:SecureTransport': 'true', ...context },
          },
          identityPolicies: held.map((policy, index) => ({ name: String(index), policy })),
          serviceControlPolicies: [],
          resourceControlPolicies: [],
          resourcePolicy: own.find(({ arn }) => arn && (resource === arn || resource.startsWith(`${arn}/`)))
            ?.policy,
        },
        {},
      )
      if (result.resultType === 'error') throw new Error(`${action}: ${JSON.stringify(result.errors)}`)
      return result.overallResult
    },
  }
}

/** Each pair of action and resource that policies grant. */
export function grantsOf(held: readonly object[]): Grant[] {
  return (held as Policy['PolicyDocument'][])
    .flatMap(({ Statement }) => Statement)
    .filter(({ Effect }) => Effect === 'Allow')
    .flatMap(({ Action, Resource }) =>
      [Action].flat().flatMap((action) => [Resource].flat().map((resource) => ({ action, resource }))),
    )
}

export function isUse(grant: Grant, { action, resource, context }: Call): boolean {
  const pattern = grant.resource
    .replace(/\$\{(.+?)\}/g, (_, key) => String(context?.[key] ?? ''))
    .replace(/[.?+^$()|[\]{}\\]/g, '\\$&')
    .replaceAll('*', '.*')
  return grant.action === action && new RegExp(`^${pattern}$`).test(resource)
}

export type Account = ReturnType<typeof openAccount>
