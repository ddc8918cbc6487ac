import { GetQueueAttributesCommand, type SQSClient } from '@aws-sdk/client-sqs'

const COUNTS = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const

/** How many starts of functions lie in the queue of those that failed for good; also those that somebody reads just now. */
export async function countFailedStarts(client: SQSClient, queueUrl: string): Promise<number> {
  const question = new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: [...COUNTS] })
  const { Attributes = {} } = await client.send(question)
  return COUNTS.reduce((sum, name) => sum + Number(Attributes[name] ?? 0), 0)
}
