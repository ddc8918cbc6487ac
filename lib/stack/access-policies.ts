import { CfnOutput } from 'aws-cdk-lib'
import { ManagedPolicy, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import type { AppScope } from '../release/keys.ts'
import { ARTIFACTS, acknowledgeBucketPaths, type BucketPaths, bucketStatements } from './bucket-access.ts'

export interface AccessPoliciesProps {
  bucket: Bucket
  fleet: AppScope
  /** What targets read the rest of their program from. */
  programDocumentArns: readonly string[]
}

/** The role session of an instance is that instance: of all keys that say so, this one is whole in a path. */
const OWN_REPORTS = `reports/$\{ec2:SourceInstanceARN}/*`

const RECORDS = ['requests/*', 'releases/*', 'rollouts/*', 'fleet.json', 'state.json']

/** For people to attach: who publishes an app to an environment, who looks on, and the targets. */
const HOLDERS: Record<string, BucketPaths> = {
  Publisher: {
    read: [...ARTIFACTS, ...RECORDS, 'reports/*'],
    readVersions: ARTIFACTS,
    readTags: ARTIFACTS,
    upload: ARTIFACTS,
    write: ['requests/*'],
  },
  Viewer: { read: ['*'], readVersions: ARTIFACTS },
  Target: { read: ['releases/*', 'state.json'], readVersions: ARTIFACTS, write: [OWN_REPORTS] },
}

export class AccessPolicies extends Construct {
  constructor(scope: Construct, id: string, { bucket, fleet, programDocumentArns }: AccessPoliciesProps) {
    super(scope, id)
    for (const [holder, paths] of Object.entries(HOLDERS)) {
      const statements = bucketStatements(bucket, [fleet], paths)
      if (holder === 'Target') {
        const actions = ['ssm:GetDocument']
        statements.push(new PolicyStatement({ actions, resources: [...programDocumentArns] }))
      }
      const policy = new ManagedPolicy(this, holder, { statements })
      acknowledgeBucketPaths(policy, bucket, [fleet], paths)
      new CfnOutput(this, `${holder}Policy`, { value: policy.managedPolicyArn })
    }
  }
}
