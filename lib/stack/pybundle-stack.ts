import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import type { AlertConfig } from '../config/alerts.ts'
import type { FleetConfig } from '../config/fleets.ts'
import { AccessPolicies } from './access-policies.ts'
import { ArtifactBucket } from './artifact-bucket.ts'
import { ControlAlarms } from './control-alarms.ts'
import { ControlFunctions } from './control-functions.ts'
import { ProgramDocuments } from './program-documents.ts'
import { warnOfRegion } from './region-warning.ts'
import { TargetDocument } from './target-document.ts'

export interface PybundleStackProps extends StackProps {
  fleets: readonly FleetConfig[]
  /** The region of whoever synthesizes it; the template is bound to none. */
  deployedTo?: string | undefined
  alerts?: AlertConfig | undefined
}

/** One stack for all apps and environments of `fleets.toml`. */
export class PybundleStack extends Stack {
  constructor(scope: Construct, id: string, { fleets, deployedTo, alerts, ...props }: PybundleStackProps) {
    // The spaces would be a quarter of it, and 1 MB is all that CloudFormation takes.
    super(scope, id, { suppressTemplateIndentation: true, ...props })
    warnOfRegion(this, deployedTo)
    const { bucket } = new ArtifactBucket(this, 'Artifacts', { fleets })
    const { onUpload, rollout, lookAtFleet, failedStarts } = new ControlFunctions(this, 'Control', {
      bucket,
      fleets,
    })
    new ControlAlarms(this, 'Alarms', {
      onUpload,
      rollout,
      lookAtFleet,
      failedStarts: failedStarts.queue,
      topicArn: alerts?.topicArn,
    })
    const { programs, arns } = new ProgramDocuments(this, 'Program')
    for (const fleet of fleets) {
      const name = `${fleet.environment}-${fleet.app}`
      const { arn } = new TargetDocument(this, `Document-${name}`, {
        fleet,
        bucketName: bucket.bucketName,
        region: this.region,
        programs,
      })
      new AccessPolicies(this, `Access-${name}`, { bucket, fleet, documentArns: [arn, ...arns] })
    }
    new CfnOutput(this, 'BucketName', { value: bucket.bucketName })
  }
}
