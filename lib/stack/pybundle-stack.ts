import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import type { AlertConfig } from '../config/alerts.ts'
import type { FleetConfig } from '../config/fleets.ts'
import { AccessPolicies } from './access-policies.ts'
import { ArtifactBucket } from './artifact-bucket.ts'
import { ControlAlarms } from './control-alarms.ts'
import { ControlFunctions } from './control-functions.ts'
import { ProgramDocuments } from './program-documents.ts'
import { TargetDocument } from './target-document.ts'

export interface PybundleStackProps extends StackProps {
  fleets: readonly FleetConfig[]
  alerts?: AlertConfig | undefined
}

/** One stack for all apps and environments of `fleets.toml`. */
export class PybundleStack extends Stack {
  constructor(scope: Construct, id: string, { fleets, alerts, ...props }: PybundleStackProps) {
    super(scope, id, props)
    const { bucket } = new ArtifactBucket(this, 'Artifacts')
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
      new TargetDocument(this, `Document-${name}`, {
        fleet,
        bucketName: bucket.bucketName,
        region: this.region,
        programs,
      })
      new AccessPolicies(this, `Access-${name}`, { bucket, fleet, programDocumentArns: arns })
    }
    new CfnOutput(this, 'BucketName', { value: bucket.bucketName })
  }
}
