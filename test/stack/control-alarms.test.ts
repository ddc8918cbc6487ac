import { readFileSync } from 'node:fs'
import { App } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { describe, expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { PybundleStack } from '../../lib/stack/pybundle-stack.ts'

interface AlarmProperties {
  AlarmName: string
  MetricName?: string
  TreatMissingData: string
  AlarmActions?: string[]
  OKActions?: string[]
}

const fleets = parseFleets(readFileSync('fleets.toml', 'utf8'), 'fleets.toml')
const alarmsOf = (alerts?: { topicArn: string }): AlarmProperties[] => {
  const stack = new PybundleStack(new App(), 'Pybundle', { fleets, alerts })
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

  it('take silence for trouble where somebody should have been at work, and only there', () => {
    const worried = alarms.filter(({ TreatMissingData }) => TreatMissingData === 'breaching')
    expect(worried.map(({ MetricName }) => MetricName)).toEqual(['Invocations', 'Invocations'])
  })
})
