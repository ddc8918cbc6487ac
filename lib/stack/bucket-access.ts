import { Stack, Validations } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { CfnBucket, IBucket } from 'aws-cdk-lib/aws-s3'
import type { Construct } from 'constructs'
import type { AppScope } from '../release/keys.ts'

/** What is done to an object, and the actions by which IAM knows it. */
const ACTIONS = {
  read: ['s3:GetObject'],
  readVersions: ['s3:GetObjectVersion'],
  readTags: ['s3:GetObjectTagging'],
  /** In one go. */
  write: ['s3:PutObject'],
  /** In parts. */
  upload: ['s3:PutObject', 's3:AbortMultipartUpload'],
  tagVersions: ['s3:GetObjectVersionTagging', 's3:PutObjectVersionTagging'],
} as const
type Use = keyof typeof ACTIONS

/** Paths below `<environment>/<app>/`, by what is done there. */
export type BucketPaths = Readonly<Partial<Record<Use, readonly string[]>>>

/** What is told apart by its version: an overwritten key changes nothing. */
export const ARTIFACTS = ['bundles/*', 'code/*'] as const

/** IAM's policies end at 6,144 characters, and CDK divides them between statements only. */
const SCOPES_PER_STATEMENT = 5

/** What a principal may do in the bucket, for the apps and environments it is meant for and no other. */
export function bucketStatements(
  bucket: IBucket,
  scopes: readonly AppScope[],
  paths: BucketPaths,
): PolicyStatement[] {
  const writes = [...(paths.write ?? []), ...(paths.upload ?? [])].length > 0
  const parts = scopes.flatMap((_, index) =>
    index % SCOPES_PER_STATEMENT === 0 ? [scopes.slice(index, index + SCOPES_PER_STATEMENT)] : [],
  )
  return [
    ...parts.flatMap((part) => statementsFor(bucket, part, paths)),
    new PolicyStatement({
      actions: ['kms:Decrypt', ...(writes ? ['kms:GenerateDataKey'] : [])],
      resources: [bucket.encryptionKey?.keyArn ?? '*'],
    }),
  ]
}

function statementsFor(bucket: IBucket, scopes: readonly AppScope[], paths: BucketPaths): PolicyStatement[] {
  return [
    ...usesOf(paths).map(([use, below]) => {
      const resources = pathsOf(scopes, below).map((path) => bucket.arnForObjects(path))
      return new PolicyStatement({ actions: [...ACTIONS[use]], resources })
    }),
    new PolicyStatement({
      // Without it S3 answers 403 instead of 404 for a key that is not there.
      actions: ['s3:ListBucket'],
      resources: [bucket.bucketArn],
      conditions: { StringLike: { 's3:prefix': pathsOf(scopes, ['*']) } },
    }),
  ]
}

/** Tells cdk-nag why these policies name paths with a wildcard. */
export function acknowledgeBucketPaths(
  holder: Construct,
  bucket: IBucket,
  scopes: readonly AppScope[],
  paths: BucketPaths,
): void {
  const logicalId = Stack.of(bucket).getLogicalId(bucket.node.defaultChild as CfnBucket)
  const all = usesOf(paths).flatMap(([, below]) => pathsOf(scopes, below))
  for (const path of new Set(all.filter((name) => name.includes('*')))) {
    Validations.of(holder).acknowledge({
      id: `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>/${path.replace(/\$\{(.+)\}/, '<$1>')}]`,
      reason: 'Objects of one folder of one app in one environment: their names are made at each publish.',
    })
  }
}

const usesOf = (paths: BucketPaths) => Object.entries(paths) as [Use, readonly string[]][]

function pathsOf(scopes: readonly AppScope[], paths: readonly string[]): string[] {
  return scopes.flatMap(({ environment, app }) => paths.map((path) => `${environment}/${app}/${path}`))
}
