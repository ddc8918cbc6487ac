import {
  CloudWatchClient,
  PutMetricAlarmCommand,
  SetAlarmStateCommand,
  type StateValue,
} from '@aws-sdk/client-cloudwatch'
import type { Cloud } from '../../local/cloud.ts'

/** Sets how an alarm stands, as the operator would with the AWS CLI; one that there was not before is put first. */
export async function setAlarm({ env }: Cloud, AlarmName: string, StateValue: StateValue): Promise<void> {
  const { AWS_ENDPOINT_URL = '', AWS_REGION = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = env
  const credentials = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY }
  const client = new CloudWatchClient({ endpoint: AWS_ENDPOINT_URL, region: AWS_REGION, credentials })
  const settings = { EvaluationPeriods: 1, ComparisonOperator: 'GreaterThanThreshold' as const }
  await client.send(new PutMetricAlarmCommand({ AlarmName, ...settings }))
  await client.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'set in a test' }))
  client.destroy()
}
