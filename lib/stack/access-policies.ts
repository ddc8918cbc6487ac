import { CfnOutput } from 'aws-cdk-lib'
import { ManagedPolicy, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import type { AppScope } from '../release/keys.ts'

export interface AccessPoliciesProps {
  bucket: Bucket
  fleet: AppScope
}

const READ = ['s3:GetObject', 's3:GetObjectVersion']

/** For people to attach: who publishes an app to an environment, and the targets that run it there. */
export class AccessPolicies extends Construct {
  constructor(scope: Construct, id: string, { bucket, fleet }: AccessPoliciesProps) {
    super(scope, id)
    const below = (parts: string[]) =>
      parts.map((part) => `${bucket.bucketArn}/${fleet.environment}/${fleet.app}/${part}`)
    const encryptionKey = bucket.encryptionKey?.keyArn ?? '*'

    this.policy('Publisher', [
      new PolicyStatement({
        actions: ['s3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
        resources: below(['bundles/*', 'code/*', 'requests/*']),
      }),
      new PolicyStatement({ actions: READ, resources: below(['*']) }),
      new PolicyStatement({
        actions: ['s3:ListBucket'],
        resources: [bucket.bucketArn],
        conditions: { StringLike: { 's3:prefix': [`${fleet.environment}/${fleet.app}/*`] } },
      }),
      new PolicyStatement({ actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [encryptionKey] }),
    ])
    this.policy('Target', [
      new PolicyStatement({
        actions: READ,
        resources: below(['bundles/*', 'code/*', 'releases/*', 'state.json']),
      }),
      new PolicyStatement({ actions: ['s3:PutObject'], resources: below(['reports/*']) }),
      new PolicyStatement({ actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [encryptionKey] }),
    ])
  }

  private policy(id: string, statements: PolicyStatement[]): void {
    const policy = new ManagedPolicy(this, id, { statements })
    new CfnOutput(this, `${id}Policy`, { value: policy.managedPolicyArn })
  }
}
