import { Stack } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import { EVENT_DETAIL_TYPE, EVENT_SOURCE } from '../release/rollout-event.ts'

/** To put our own events on the default bus, and none that could be taken for anybody else's. */
export function letTell(lambda: LambdaFunction): void {
  const { partition, region, account } = Stack.of(lambda)
  lambda.addToRolePolicy(
    new PolicyStatement({
      actions: ['events:PutEvents'],
      resources: [`arn:${partition}:events:${region}:${account}:event-bus/default`],
      conditions: {
        'ForAllValues:StringEquals': {
          'events:source': EVENT_SOURCE,
          'events:detail-type': EVENT_DETAIL_TYPE,
        },
      },
    }),
  )
}
