import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib'
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam'
import { Key } from 'aws-cdk-lib/aws-kms'
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type LifecycleRule,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import type { FleetConfig } from '../config/fleets.ts'
import { RETIRED, RETIRED_TAG } from '../release/retention.ts'

/** Folders of each app in each environment whose objects are written once, or over what their writer has read. */
const REQUESTS = '*/requests/*'
const REPORTS = '*/reports/*'
const RECORDS = ['*/releases/*', '*/rollouts/*']

/**
 * The bucket that is the database: versioned, private, kept when the stack goes; what was asked and what became of it
 * cannot be written over blindly, nor deleted, by anybody.
 */
export class ArtifactBucket extends Construct {
  readonly bucket: Bucket

  constructor(scope: Construct, id: string, { fleets }: { fleets: readonly FleetConfig[] }) {
    super(scope, id)
    const encryptionKey = new Key(this, 'Key', {
      description: 'pybundle-deploy: artifacts, releases and records',
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    })
    this.bucket = new Bucket(this, 'Bucket', {
      encryption: BucketEncryption.KMS,
      encryptionKey,
      bucketKeyEnabled: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      lifecycleRules: [
        { abortIncompleteMultipartUploadAfter: Duration.days(7), expiredObjectDeleteMarker: true },
        ...fleets.flatMap(retention),
      ],
      removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    })
    this.denyPuts([REQUESTS, REPORTS], ['s3:if-none-match'])
    this.denyPuts(RECORDS, ['s3:if-none-match', 's3:if-match'])
    this.deny(['s3:DeleteObject', 's3:DeleteObjectVersion'], [REQUESTS, ...RECORDS])
    // The bucket stays, and what protects it with it.
    this.bucket.policy?.applyRemovalPolicy(RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE)
    Validations.of(this.bucket).acknowledge({
      id: 'AwsSolutions-S1',
      reason:
        'CloudTrail data events tell who read and wrote what; a second bucket of access logs would not add to it.',
    })
  }

  /** Unless the writer makes one of these conditions. */
  private denyPuts(paths: readonly string[], unless: readonly string[]): void {
    this.deny(['s3:PutObject'], paths, {
      Null: Object.fromEntries(unless.map((key) => [key, 'true'])),
      // Parts of an upload carry no condition; what completes it does.
      Bool: { 's3:ObjectCreationOperation': 'true' },
    })
  }

  private deny(actions: string[], paths: readonly string[], conditions: Record<string, object> = {}): void {
    const resources = paths.map((path) => this.bucket.arnForObjects(path))
    const principals = [new AnyPrincipal()]
    this.bucket.addToResourcePolicy(
      new PolicyStatement({ effect: Effect.DENY, principals, actions, resources, conditions }),
    )
  }
}

/**
 * S3 counts the days of the newest version of a key from its upload, so that a tagged one that is not of today goes at
 * the next midnight: it is still there as an older version then, for as long as the operator says.
 */
function retention({ environment, app, retentionDays }: FleetConfig): LifecycleRule[] {
  return ['bundles', 'code'].map((folder) => ({
    prefix: `${environment}/${app}/${folder}/`,
    tagFilters: { [RETIRED_TAG]: RETIRED },
    expiration: Duration.days(1),
    noncurrentVersionExpiration: Duration.days(retentionDays),
  }))
}
