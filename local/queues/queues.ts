import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import {
  DeleteMessage$,
  type DeleteMessageRequest,
  GetQueueAttributes$,
  type GetQueueAttributesRequest,
  GetQueueUrl$,
  type GetQueueUrlRequest,
  ListQueues$,
  type ListQueuesRequest,
  PurgeQueue$,
  type PurgeQueueRequest,
  ReceiveMessage$,
  type ReceiveMessageRequest,
  SendMessage$,
  type SendMessageRequest,
} from '@aws-sdk/client-sqs'
import { awsJsonService, operation } from '../http/aws-json.ts'
import { type Service, ServiceError } from '../http/service.ts'
import { JsonFolder } from '../json-folder.ts'

export interface QueuesOptions {
  /** Messages lie here until they are deleted. */
  directory: string
  account: string
  endpointUrl: () => string
  /** Names of the template's queues. */
  queues: readonly string[]
}

/** The queues of the template; standard ones, whose messages nobody waits for. */
export interface Queues {
  service: Service
  /** To the queue of this ARN. */
  send(queueArn: string, body: string): void
}

interface Message {
  id: string
  body: string
  sentAt: number
  receives: number
  /** When it can be received again. */
  visibleAt: number
}

const DEFAULT_VISIBILITY_SECONDS = 30

export function openQueues({ directory, account, endpointUrl, queues }: QueuesOptions): Queues {
  const byName = new Map(
    queues.map((name) => [name, new JsonFolder<Message>(join(directory, encodeURIComponent(name)))]),
  )
  const find = (name: string) => {
    const found = byName.get(name)
    if (found) return found
    throw new ServiceError(400, 'QueueDoesNotExist', 'The specified queue does not exist.')
  }
  // Whatever host it names: AWS's, as the template has it, or this one.
  const ofUrl = (url = '') => find(url.split('/').at(-1) ?? '')
  const urlOf = (name: string) => `${endpointUrl()}/${account}/${name}`

  return {
    send: (queueArn, body) => void put(find(queueArn.split(':').at(-1) ?? ''), body),
    service: awsJsonService([
      operation(ListQueues$, async ({ QueueNamePrefix = '' }: ListQueuesRequest) => ({
        QueueUrls: [...byName.keys()].filter((name) => name.startsWith(QueueNamePrefix)).map(urlOf),
      })),
      operation(GetQueueUrl$, async ({ QueueName = '' }: GetQueueUrlRequest) => {
        find(QueueName)
        return { QueueUrl: urlOf(QueueName) }
      }),
      operation(GetQueueAttributes$, async (input: GetQueueAttributesRequest) => {
        const all = count(ofUrl(input.QueueUrl))
        const { AttributeNames = [] } = input
        const isWanted = (name: string) =>
          AttributeNames.some((wanted) => wanted === name || wanted === 'All')
        return { Attributes: Object.fromEntries(Object.entries(all).filter(([name]) => isWanted(name))) }
      }),
      operation(SendMessage$, async ({ QueueUrl, MessageBody = '' }: SendMessageRequest) => {
        const { id } = put(ofUrl(QueueUrl), MessageBody)
        return { MessageId: id, MD5OfMessageBody: md5(MessageBody) }
      }),
      operation(ReceiveMessage$, async (input: ReceiveMessageRequest) => ({
        Messages: receive(ofUrl(input.QueueUrl), input).map(({ id, body }) => ({
          MessageId: id,
          ReceiptHandle: id,
          Body: body,
          MD5OfBody: md5(body),
        })),
      })),
      operation(DeleteMessage$, async ({ QueueUrl, ReceiptHandle = '' }: DeleteMessageRequest) => {
        ofUrl(QueueUrl).delete(ReceiptHandle)
        return {}
      }),
      operation(PurgeQueue$, async ({ QueueUrl }: PurgeQueueRequest) => {
        const queue = ofUrl(QueueUrl)
        for (const { id } of queue.all()) queue.delete(id)
        return {}
      }),
    ]),
  }
}

function put(queue: JsonFolder<Message>, body: string): Message {
  const message = { id: randomUUID(), body, sentAt: Date.now(), receives: 0, visibleAt: 0 }
  queue.put(message.id, message)
  return message
}

function receive(
  queue: JsonFolder<Message>,
  { MaxNumberOfMessages = 1, VisibilityTimeout = DEFAULT_VISIBILITY_SECONDS }: ReceiveMessageRequest,
): Message[] {
  const visible = queue
    .all()
    .filter(({ visibleAt }) => visibleAt <= Date.now())
    .sort((a, b) => a.sentAt - b.sentAt)
    .slice(0, MaxNumberOfMessages)
  const visibleAt = Date.now() + VisibilityTimeout * 1000
  for (const message of visible)
    queue.put(message.id, { ...message, receives: message.receives + 1, visibleAt })
  return visible
}

function count(queue: JsonFolder<Message>): Record<string, string> {
  const messages = queue.all()
  const hidden = messages.filter(({ visibleAt }) => visibleAt > Date.now()).length
  return {
    ApproximateNumberOfMessages: String(messages.length - hidden),
    ApproximateNumberOfMessagesNotVisible: String(hidden),
    ApproximateNumberOfMessagesDelayed: '0',
  }
}

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
