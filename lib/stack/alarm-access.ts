import { Validations } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import type { FleetConfig } from '../config/fleets.ts'

/** Only where an operator has some watched. */
export function letReadAlarms(lambda: LambdaFunction, fleets: readonly FleetConfig[]): void {
  if (fleets.every(({ alarms }) => alarms.length === 0)) return
  lambda.addToRolePolicy(
    new PolicyStatement({
      actions: ['cloudwatch:DescribeAlarms'],
      // With a narrower scope CloudWatch says nothing of composite alarms, as if there were none.
      resources: ['*'],
    }),
  )
  const reason = 'CloudWatch tells of composite alarms only who may describe all.'
  Validations.of(lambda).acknowledge({ id: 'AwsSolutions-IAM5[Resource::*]', reason })
}
