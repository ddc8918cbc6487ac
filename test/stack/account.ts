import { runSimulation } from '@cloud-copilot/iam-simulate'
import type { CfnElement, Stack } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import type { IConstruct } from 'constructs'
import type { Resource } from '../../local/template/assembly.ts'
import { resolve } from '../../local/template/intrinsics.ts'
import { nameResource } from '../../local/template/local-names.ts'

const ACCOUNT = '123456789012'
const REGION = 'eu-west-1'
const PSEUDO = { 'AWS::AccountId': ACCOUNT, 'AWS::Region': REGION, 'AWS::Partition': 'aws' }

/** A call as IAM sees it: what is done to what, and what the request says beside. */
export interface Call {
  action: string
  resource: string
  context?: Record<string, string>
}

interface Holder {
  PolicyDocument: object
  Roles?: string[]
}

/** An account into which the stack was deployed, in which IAM is asked what its policies let whom do. */
export function openAccount(stack: Stack) {
  const template: Record<string, Resource> = Template.fromStack(stack).toJSON().Resources
  const place = { region: REGION, account: ACCOUNT, stackName: stack.stackName }
  const resources = new Map(
    Object.entries(template).map(([id, resource]) => [id, nameResource(id, resource, place)]),
  )
  const scope = { resources, pseudo: PSEUDO }
  const idOf = (construct: IConstruct) =>
    String(stack.resolve((construct.node.defaultChild as CfnElement).logicalId))
  const properties = (id: string) => resolve(template[id]?.Properties ?? {}, scope) as Record<string, unknown>
  const ofType = (type: string) =>
    Object.keys(template)
      .filter((id) => template[id]?.Type === type)
      .map((id) => ({ id, arn: resources.get(id)?.attributes.Arn ?? '', properties: properties(id) }))

  const [bucket] = ofType('AWS::S3::Bucket')
  const [key] = ofType('AWS::KMS::Key')
  const [bucketPolicy] = ofType('AWS::S3::BucketPolicy')
  const own = [
    { arn: bucket?.arn ?? '', policy: bucketPolicy?.properties.PolicyDocument },
    { arn: key?.arn ?? '', policy: key?.properties.KeyPolicy },
  ]

  return {
    bucket: bucket?.arn ?? '',
    key: key?.arn ?? '',
    arnOf: (construct: IConstruct) => resources.get(idOf(construct))?.attributes.Arn ?? '',
    arn: (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`,
    /** Each action that a policy of the stack names. */
    actions: ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy', 'AWS::S3::BucketPolicy']
      .flatMap((type) => ofType(type))
      .map(({ properties: given }) => given.PolicyDocument as { Statement: { Action: string | string[] }[] })
      .flatMap(({ Statement }) => Statement.flatMap(({ Action }) => Action)),
    /** What a managed policy says, for people and instances to whom it is attached. */
    policies: (construct: IConstruct) => [properties(idOf(construct)).PolicyDocument],
    /** What the policies of a role say. */
    policiesOfRole(role: IConstruct): unknown[] {
      const name = resources.get(idOf(role))?.ref ?? ''
      return ofType('AWS::IAM::Policy')
        .map((policy) => policy.properties as unknown as Holder)
        .filter(({ Roles }) => Roles?.includes(name))
        .map(({ PolicyDocument }) => PolicyDocument)
    },
    /** `Allowed`, `ExplicitlyDenied` or `ImplicitlyDenied`, as IAM evaluates them; a call that does not exist is an error. */
    async decide(policies: readonly unknown[], { action, resource, context = {} }: Call): Promise<string> {
      const result = await runSimulation(
        {
          request: {
            principal: `arn:aws:iam::${ACCOUNT}:role/somebody`,
            action,
            resource: { resource, accountId: ACCOUNT },
            contextVariables: { 'aws:SecureTransport': 'true', ...context },
          },
          identityPolicies: policies.map((policy, index) => ({ name: String(index), policy })),
          serviceControlPolicies: [],
          resourceControlPolicies: [],
          resourcePolicy: own.find(({ arn }) => resource === arn || resource.startsWith(`${arn}/`))?.policy,
        },
        {},
      )
      if (result.resultType === 'error') throw new Error(JSON.stringify(result.errors))
      return result.overallResult
    },
  }
}

export type Account = ReturnType<typeof openAccount>
