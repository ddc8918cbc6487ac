import { Stack, Validations } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import type { FleetConfig } from '../config/fleets.ts'
import { documentName } from '../release/names.ts'

/** Each fleet's own document, to instances that carry the fleet's tags, and seeing what became of it. */
export function letCommand(lambda: LambdaFunction, fleets: readonly FleetConfig[]): void {
  const { partition, region, account } = Stack.of(lambda)
  for (const { environment, app, tags } of fleets) {
    const document = `arn:${partition}:ssm:${region}:${account}:document/${documentName(environment, app)}`
    lambda.addToRolePolicy(
      new PolicyStatement({ actions: ['ssm:SendCommand', 'ssm:DescribeDocument'], resources: [document] }),
    )
    lambda.addToRolePolicy(
      new PolicyStatement({
        actions: ['ssm:SendCommand'],
        resources: [`arn:${partition}:ec2:${region}:${account}:instance/*`],
        conditions: {
          StringEquals: Object.fromEntries(
            Object.entries(tags).map(([key, value]) => [`ssm:resourceTag/${key}`, value]),
          ),
        },
      }),
    )
  }
  lambda.addToRolePolicy(
    new PolicyStatement({
      // IAM knows no resource for these four.
      actions: [
        'ssm:ListCommands',
        'ssm:ListCommandInvocations',
        'ssm:DescribeInstanceInformation',
        'ssm:DescribeInstanceProperties',
      ],
      resources: ['*'],
    }),
  )
  const instances = 'arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:instance/*'
  for (const [resource, reason] of [
    ['*', 'IAM has no resource for listing commands and instances.'],
    [instances, 'Instances come and go; the condition demands the tags.'],
  ]) {
    Validations.of(lambda).acknowledge({
      id: `AwsSolutions-IAM5[Resource::${resource}]`,
      reason: reason ?? '',
    })
  }
}
