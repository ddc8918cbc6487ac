import { Duration, Stack } from 'aws-cdk-lib'
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  MathExpression,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import { Topic } from 'aws-cdk-lib/aws-sns'
import type { Queue } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'

export interface ControlAlarmsProps {
  onUpload: LambdaFunction
  rollout: LambdaFunction
  lookAtFleet: LambdaFunction
  failedStarts: Queue
  /** Who is told when one rings, and when it is quiet again. */
  topicArn?: string | undefined
}

interface Watched {
  metric: IMetric
  threshold: number
  /** Where no data is bad news. */
  isAtLeast?: boolean
  description: string
}

const MINUTES_5 = Duration.minutes(5)
const MINUTES_15 = Duration.minutes(15)

/** For each way in which the control plane itself can fail; docs/runbook.md says for each what to do. */
export class ControlAlarms extends Construct {
  constructor(scope: Construct, id: string, { topicArn, ...watched }: ControlAlarmsProps) {
    super(scope, id)
    const topic = topicArn && Topic.fromTopicArn(this, 'Topic', topicArn)
    for (const [name, { metric, threshold, isAtLeast = false, description }] of Object.entries(
      list(watched),
    )) {
      const alarm = new Alarm(this, name, {
        alarmName: `${Stack.of(this).stackName}-${name}`,
        alarmDescription: `${description} docs/runbook.md says what to do.`,
        metric,
        threshold,
        evaluationPeriods: 1,
        comparisonOperator: isAtLeast
          ? ComparisonOperator.LESS_THAN_THRESHOLD
          : ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treatMissingData: isAtLeast ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
      })
      if (!topic) continue
      alarm.addAlarmAction(new SnsAction(topic))
      alarm.addOkAction(new SnsAction(topic))
    }
  }
}

function list({
  onUpload,
  rollout,
  lookAtFleet,
  failedStarts,
}: Omit<ControlAlarmsProps, 'topicArn'>): Record<string, Watched> {
  const functions = { 'on-upload': onUpload, rollout, 'look-at-fleet': lookAtFleet }
  const alarms: Record<string, Watched> = {}
  for (const [name, lambda] of Object.entries(functions)) {
    // One failure is tried again, and mended by the next look; three in a row are no accident.
    alarms[`${name}-errors`] = {
      metric: lambda.metricErrors({ period: MINUTES_15 }),
      threshold: 3,
      description: `${name} fails.`,
    }
    alarms[`${name}-throttles`] = {
      metric: lambda.metricThrottles({ period: MINUTES_15 }),
      threshold: 3,
      description: `${name} is kept from starting: the account's concurrency is used up.`,
    }
  }
  const executions = (metricName: string) =>
    rollout.metric(metricName, { period: MINUTES_5, statistic: 'Sum' })
  return {
    ...alarms,
    'rollout-executions-failed': {
      metric: executions('DurableExecutionFailed'),
      threshold: 1,
      description: 'The engine of a rollout has died.',
    },
    'rollout-executions-timed-out': {
      metric: executions('DurableExecutionTimedOut'),
      threshold: 1,
      description: 'A rollout took longer than an execution may.',
    },
    'failed-starts': {
      metric: failedStarts.metricApproximateNumberOfMessagesVisible({
        period: MINUTES_5,
        statistic: 'Maximum',
      }),
      threshold: 1,
      description: 'A start of a function failed for good.',
    },
    'failed-starts-lost': {
      metric: undeliverable([onUpload, lookAtFleet]),
      threshold: 1,
      description: 'A start failed for good, and could not be written down.',
    },
    'on-upload-not-running': {
      metric: onUpload.metricInvocations({ period: MINUTES_15 }),
      threshold: 1,
      isAtLeast: true,
      description: 'Nobody looks again: the schedule does not run.',
    },
    'look-at-fleet-not-running': {
      metric: lookAtFleet.metricInvocations({ period: Duration.minutes(45) }),
      threshold: 1,
      isAtLeast: true,
      description: 'Nobody asks the fleets: the schedule does not run.',
    },
  }
}

function undeliverable(functions: readonly LambdaFunction[]): IMetric {
  const metrics = functions.map((lambda, index) => [
    `lost${index}`,
    lambda.metric('DestinationDeliveryFailures', { statistic: 'Sum' }),
  ])
  const names = metrics.map(([name]) => `FILL(${name}, 0)`)
  return new MathExpression({
    expression: names.join(' + '),
    usingMetrics: Object.fromEntries(metrics),
    period: MINUTES_5,
  })
}
