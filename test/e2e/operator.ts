import {
  CloudWatchClient,
  PutMetricAlarmCommand,
  SetAlarmStateCommand,
  type StateValue,
} from '@aws-sdk/client-cloudwatch'
import { ListQueuesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs'
import type { Cloud } from '../../local/cloud.ts'

/** What somebody does with the AWS CLI, or AWS itself, beside the team. */

/** Sets how an alarm stands; one that there was not before is put first. */
export async function setAlarm(cloud: Cloud, AlarmName: string, StateValue: StateValue): Promise<void> {
  const client = new CloudWatchClient(accessTo(cloud))
  const settings = { EvaluationPeriods: 1, ComparisonOperator: 'GreaterThanThreshold' as const }
  await client.send(new PutMetricAlarmCommand({ AlarmName, ...settings }))
  await client.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason: 'set in a test' }))
  client.destroy()
}

/** As Lambda does when a start has failed for good. */
export async function failToStart(cloud: Cloud): Promise<void> {
  const client = new SQSClient(accessTo(cloud))
  const { QueueUrls = [] } = await client.send(new ListQueuesCommand())
  await client.send(new SendMessageCommand({ QueueUrl: QueueUrls[0], MessageBody: '{"version":"1.0"}' }))
  client.destroy()
}

function accessTo({ env }: Cloud) {
  const { AWS_ENDPOINT_URL = '', AWS_REGION = '', AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '' } = env
  const credentials = { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY }
  return { endpoint: AWS_ENDPOINT_URL, region: AWS_REGION, credentials }
}
