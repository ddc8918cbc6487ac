import { CfnOutput } from 'aws-cdk-lib'
import { Group, ManagedPolicy, PolicyStatement, Role, User } from 'aws-cdk-lib/aws-iam'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import type { FleetConfig, Principals } from '../config/fleets.ts'
import { ARTIFACTS, acknowledgeBucketPaths, type BucketPaths, bucketStatements } from './bucket-access.ts'

export interface AccessPoliciesProps {
  bucket: Bucket
  fleet: FleetConfig
  /** What targets read: who signs, and the rest of their program. */
  documentArns: readonly string[]
}

/** The role session of an instance is that instance: of all keys that say so, this one is whole in a path. */
const OWN_REPORTS = `reports/$\{ec2:SourceInstanceARN}/*`

const RECORDS = ['requests/*', 'releases/*', 'rollouts/*', 'fleet.json', 'state.json']

/** For people to attach: who publishes an app to an environment, who looks on, and the targets. */
const HOLDERS: Record<string, Holder> = {
  Publisher: {
    paths: {
      read: [...ARTIFACTS, ...RECORDS, 'reports/*'],
      readVersions: ARTIFACTS,
      readTags: ARTIFACTS,
      upload: ARTIFACTS,
      write: ['requests/*'],
    },
    principalsOf: ({ publishers }) => publishers,
  },
  Viewer: { paths: { read: ['*'], readVersions: ARTIFACTS }, principalsOf: ({ viewers }) => viewers },
  Target: {
    paths: {
      read: ['requests/*', 'releases/*', 'state.json'],
      readVersions: ARTIFACTS,
      write: [OWN_REPORTS],
    },
    principalsOf: ({ targetRoles: roles }) => ({ roles, users: [], groups: [] }),
  },
}

interface Holder {
  paths: BucketPaths
  /** To whom the operator has it attached. */
  principalsOf: (fleet: FleetConfig) => Principals
}

export class AccessPolicies extends Construct {
  constructor(scope: Construct, id: string, { bucket, fleet, documentArns }: AccessPoliciesProps) {
    super(scope, id)
    for (const [holder, { paths, principalsOf }] of Object.entries(HOLDERS)) {
      const statements = bucketStatements(bucket, [fleet], paths)
      if (holder === 'Target') {
        const actions = ['ssm:GetDocument']
        statements.push(new PolicyStatement({ actions, resources: [...documentArns] }))
      }
      const policy = new ManagedPolicy(this, holder, {
        statements,
        ...this.#named(holder, principalsOf(fleet)),
      })
      acknowledgeBucketPaths(policy, bucket, [fleet], paths)
      new CfnOutput(this, `${holder}Policy`, { value: policy.managedPolicyArn })
    }
  }

  /** They are somebody else's: only their names are known here. */
  #named(holder: string, { roles, users, groups }: Principals) {
    const id = (name: string) => `${holder}-${name}`
    return {
      roles: roles.map((name) => Role.fromRoleName(this, id(`role-${name}`), name)),
      users: users.map((name) => User.fromUserName(this, id(`user-${name}`), name)),
      groups: groups.map((name) => Group.fromGroupName(this, id(`group-${name}`), name)),
    }
  }
}
