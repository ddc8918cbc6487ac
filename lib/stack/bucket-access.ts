import { Stack, Validations } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { CfnBucket, IBucket } from 'aws-cdk-lib/aws-s3'
import type { Construct } from 'constructs'
import type { AppScope } from '../release/keys.ts'

/** Paths below `<environment>/<app>/`. */
export interface BucketPaths {
  read: readonly string[]
  write: readonly string[]
}

/** What a principal may do in the bucket, for the apps and environments it is meant for and no other. */
export function bucketStatements(
  bucket: IBucket,
  scopes: readonly AppScope[],
  { read, write }: BucketPaths,
): PolicyStatement[] {
  const arns = (paths: readonly string[]) => below(scopes, paths).map((path) => bucket.arnForObjects(path))
  const writes = new PolicyStatement({
    actions: ['s3:PutObject', 's3:AbortMultipartUpload'],
    resources: arns(write),
  })
  return [
    new PolicyStatement({ actions: ['s3:GetObject', 's3:GetObjectVersion'], resources: arns(read) }),
    ...(write.length > 0 ? [writes] : []),
    new PolicyStatement({
      // Without it S3 answers 403 instead of 404 for a key that is not there.
      actions: ['s3:ListBucket'],
      resources: [bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': below(scopes, ['*']) } },
    }),
    new PolicyStatement({
      actions: ['kms:Decrypt', ...(write.length > 0 ? ['kms:GenerateDataKey'] : [])],
      resources: [bucket.encryptionKey?.keyArn ?? '*'],
    }),
  ]
}

/** Tells cdk-nag why these policies name paths with a wildcard. */
export function acknowledgeBucketPaths(
  holder: Construct,
  bucket: IBucket,
  scopes: readonly AppScope[],
  { read, write }: BucketPaths,
): void {
  const logicalId = Stack.of(bucket).getLogicalId(bucket.node.defaultChild as CfnBucket)
  for (const path of new Set(below(scopes, [...read, ...write]).filter((name) => name.includes('*')))) {
    Validations.of(holder).acknowledge({
      id: `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>/${path}]`,
      reason: 'Objects of one folder of one app in one environment: their names are made at each publish.',
    })
  }
}

function below(scopes: readonly AppScope[], paths: readonly string[]): string[] {
  return scopes.flatMap(({ environment, app }) => paths.map((path) => `${environment}/${app}/${path}`))
}
