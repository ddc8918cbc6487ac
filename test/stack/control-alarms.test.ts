import { readFileSync } from 'node:fs'
import { Template } from 'aws-cdk-lib/assertions'
import { describe, expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { PybundleStack } from '../../lib/stack/pybundle-stack.ts'
import { templateApp } from './template-app.ts'

interface Metric {
  Namespace: string
  MetricName: string
  Dimensions: { Name: string; Value: { Ref: string } | { 'Fn::GetAtt': [string, string] } }[]
}

interface AlarmProperties extends Partial<Metric> {
  AlarmName: string
  Period?: number
  Statistic?: string
  Metrics?: { Expression?: string; MetricStat?: { Metric: Metric; Period: number; Stat: string } }[]
  EvaluationPeriods: number
  Threshold: number
  ComparisonOperator: string
  TreatMissingData: string
  AlarmActions?: string[]
  OKActions?: string[]
}

const fleets = parseFleets(readFileSync('fleets.toml', 'utf8'), 'fleets.toml')
const alarmsOf = (alerts?: { topicArn: string }): AlarmProperties[] => {
  const stack = new PybundleStack(templateApp(), 'Pybundle', { fleets, alerts })
  const alarms = Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm')
  return Object.values(alarms).map(({ Properties }) => Properties)
}
const topicArn = 'arn:aws:sns:us-east-1:123456789012:alerts'
const alarms = alarmsOf({ topicArn })

describe('the alarms of the control plane', () => {
  it('are all in the runbook, which says what to do', () => {
    const [, section = ''] = readFileSync('docs/runbook.md', 'utf8').split('## An alarm of the stack rings')
    const told = [...section.matchAll(/^\| `([\w-]+)` \| [^|]+ \| [^|]+ \|$/gm)].map(
      ([, name]) => `Pybundle-${name}`,
    )
    expect(told.sort()).toEqual(alarms.map(({ AlarmName }) => AlarmName).sort())
  })

  it('tell the topic of the operator, and nobody where there is none', () => {
    for (const { AlarmActions, OKActions } of alarms)
      expect([AlarmActions, OKActions]).toEqual([[topicArn], [topicArn]])
    for (const { AlarmActions, OKActions } of alarmsOf())
      expect([AlarmActions, OKActions]).toEqual([undefined, undefined])
  })

  /** Whose metric it is: the function's or queue's id in the template, without the hash. */
  const watched = ({ Namespace, MetricName, Dimensions = [] }: Partial<Metric>) => {
    const whose = Dimensions.map(({ Value }) => ('Ref' in Value ? Value.Ref : Value['Fn::GetAtt'][0]))
    return `${Namespace} ${MetricName} ${whose.map((id) => id.replace(/^Control(Functions)?|[0-9A-F]{8}$/g, ''))}`
  }

  it('watch what they are named after, and ring when they should', () => {
    const table = alarms.map(({ AlarmName, ComparisonOperator, Metrics, ...alarm }) => {
      const metrics = Metrics?.map(({ Expression, MetricStat: stat }) =>
        stat ? [watched(stat.Metric), stat.Stat, stat.Period] : Expression,
      )
      const { Statistic, Period, Threshold, EvaluationPeriods } = alarm
      const what = metrics ?? [watched(alarm), Statistic, Period]
      const sign = { GreaterThanOrEqualToThreshold: '>=', LessThanThreshold: '<' }[ComparisonOperator]
      return [AlarmName, ...what, `${sign} ${Threshold}`, EvaluationPeriods]
    })
    const often = [900, '>= 3', 1]
    const once = [300, '>= 1', 1]
    const lost = (whose: string) => [`AWS/Lambda DestinationDeliveryFailures ${whose}`, 'Sum', 300]
    expect(table).toEqual([
      ['Pybundle-on-upload-errors', 'AWS/Lambda Errors OnUpload', 'Sum', ...often],
      ['Pybundle-on-upload-throttles', 'AWS/Lambda Throttles OnUpload', 'Sum', ...often],
      ['Pybundle-rollout-errors', 'AWS/Lambda Errors Rollout', 'Sum', ...often],
      ['Pybundle-rollout-throttles', 'AWS/Lambda Throttles Rollout', 'Sum', ...often],
      ['Pybundle-look-at-fleet-errors', 'AWS/Lambda Errors LookAtFleet', 'Sum', ...often],
      ['Pybundle-look-at-fleet-throttles', 'AWS/Lambda Throttles LookAtFleet', 'Sum', ...often],
      ['Pybundle-rollout-executions-failed', 'AWS/Lambda DurableExecutionFailed Rollout', 'Sum', ...once],
      [
        'Pybundle-rollout-executions-timed-out',
        'AWS/Lambda DurableExecutionTimedOut Rollout',
        'Sum',
        ...once,
      ],
      [
        'Pybundle-failed-starts',
        'AWS/SQS ApproximateNumberOfMessagesVisible FailedStartsQueue',
        'Maximum',
        ...once,
      ],
      [
        'Pybundle-failed-starts-lost',
        'FILL(lost0, 0) + FILL(lost1, 0)',
        ...[lost('OnUpload'), lost('LookAtFleet')],
        ...['>= 1', 1],
      ],
      ['Pybundle-on-upload-not-running', 'AWS/Lambda Invocations OnUpload', 'Sum', 900, '< 1', 1],
      ['Pybundle-look-at-fleet-not-running', 'AWS/Lambda Invocations LookAtFleet', 'Sum', 2700, '< 1', 1],
    ])
  })

  it('take silence for trouble where somebody should have been at work, and only there', () => {
    const worried = alarms.filter(({ TreatMissingData }) => TreatMissingData === 'breaching')
    expect(worried.map(({ MetricName }) => MetricName)).toEqual(['Invocations', 'Invocations'])
  })
})
