import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CloudWatchClient,
  DeleteAlarmsCommand,
  DescribeAlarmsCommand,
  PutMetricAlarmCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch'
import { SmithyRpcV2CborProtocol } from '@smithy/core/cbor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readAlarms } from '../../lib/aws/alarm-reader.ts'
import { type CredentialStore, openCredentialStore } from '../../local/credentials.ts'
import { type Endpoint, startEndpoint } from '../../local/http/endpoint.ts'
import { openAlarms } from '../../local/monitoring/alarms.ts'

const region = 'eu-west-1'
const directory = mkdtempSync(join(tmpdir(), 'alarms-'))
let endpoint: Endpoint
let credentials: CredentialStore

beforeAll(async () => {
  credentials = openCredentialStore(directory)
  const alarms = openAlarms({ directory: join(directory, 'alarms'), region, account: '123456789012' })
  endpoint = await startEndpoint({ port: 0, credentials, services: { monitoring: alarms.service } })
})
afterAll(async () => {
  await endpoint.close()
  rmSync(directory, { recursive: true })
})

const settings = { EvaluationPeriods: 1, ComparisonOperator: 'GreaterThanThreshold' as const }
const clientOf = (protocol?: typeof SmithyRpcV2CborProtocol) =>
  new CloudWatchClient({
    endpoint: endpoint.url,
    region,
    credentials: credentials.issue('user/test'),
    ...(protocol && { protocol }),
  })

describe.each([
  ['JSON', undefined],
  ['CBOR, as boto3 and the AWS CLI do', SmithyRpcV2CborProtocol],
])('alarms of the local cloud, asked in %s', (_how, protocol) => {
  test('stand as they were set', async () => {
    const client = clientOf(protocol)
    const AlarmName = `errors of ${protocol ? 'one' : 'another'}`
    await client.send(new PutMetricAlarmCommand({ AlarmName, ...settings }))
    const describe = new DescribeAlarmsCommand({ AlarmNames: [AlarmName] })
    const { MetricAlarms = [] } = await client.send(describe)
    expect(MetricAlarms).toMatchObject([{ AlarmName, StateValue: 'INSUFFICIENT_DATA', ...settings }])
    expect(MetricAlarms[0]?.StateUpdatedTimestamp).toBeInstanceOf(Date)
    const StateReason = 'too many'
    await client.send(new SetAlarmStateCommand({ AlarmName, StateValue: 'ALARM', StateReason }))
    expect(await readAlarms(client, [AlarmName, 'none'])).toEqual([
      { name: AlarmName, isRinging: true, reason: StateReason },
    ])
    await client.send(new DeleteAlarmsCommand({ AlarmNames: [AlarmName] }))
    const unknown = new SetAlarmStateCommand({ AlarmName, StateValue: 'OK', StateReason })
    await expect(client.send(unknown)).rejects.toMatchObject({
      name: expect.stringMatching(/^ResourceNotFound/),
    })
  })
})

describe('many alarms', () => {
  test('are read in pages', async () => {
    const client = clientOf()
    const names = Array.from({ length: 120 }, (_, index) => `alarm-${index}`)
    for (const AlarmName of names) await client.send(new PutMetricAlarmCommand({ AlarmName, ...settings }))
    const { MetricAlarms = [], NextToken } = await client.send(new DescribeAlarmsCommand({ MaxRecords: 100 }))
    expect([MetricAlarms.length, NextToken]).toEqual([100, expect.any(String)])
    expect((await readAlarms(client, names)).map(({ name }) => name).sort()).toEqual(names.sort())
  })
})
