import { Validations } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'

/** Also where no alarm is watched any more: a rollout that runs goes on watching those that it began with. */
export function letReadAlarms(lambda: LambdaFunction): void {
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
