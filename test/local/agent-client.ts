import { createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import type { Credentials } from '../../local/credentials.ts'

class NodeHash {
  readonly #hash
  constructor(secret?: string | ArrayBuffer | Uint8Array) {
    this.#hash = secret ? createHmac('sha256', Buffer.from(secret as Uint8Array)) : createHash('sha256')
  }
  update(chunk: string | Uint8Array) {
    this.#hash.update(chunk)
  }
  async digest() {
    return this.#hash.digest()
  }
}

interface Answer {
  __type?: string
  message?: string
  Messages: { MessageId: string; Topic: string; Payload: string }[]
  Associations: {
    AssociationId: string
    Checksum: string
    DetailedStatus: string
    LastExecutionDate?: number
  }[]
}

/** An agent of the test's own: speaks the protocol by hand, and says what the test wants. */
export function agentClient(url: string, instanceId: string, credentials: Credentials) {
  const call = async (service: 'ssm' | 'ec2messages', operation: string, input: object) => {
    const prefix = service === 'ssm' ? 'AmazonSSM' : 'EC2WindowsMessageDeliveryService'
    const { hostname, port } = new URL(url)
    const signer = new SignatureV4({ service, region: 'us-east-1', credentials, sha256: NodeHash as never })
    const request = await signer.sign({
      method: 'POST',
      protocol: 'http:',
      hostname,
      port: Number(port),
      path: '/',
      query: {},
      headers: {
        host: `${hostname}:${port}`,
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `${prefix}.${operation}`,
      },
      body: JSON.stringify(input),
    })
    const answer = await fetch(url, { method: 'POST', headers: request.headers, body: request.body })
    const body = (await answer.json()) as Answer
    if (!answer.ok) throw new Error(`${body.__type}: ${body.message}`)
    return body
  }
  return {
    introduce: () =>
      call('ssm', 'UpdateInstanceInformation', {
        InstanceId: instanceId,
        AgentVersion: '3.3.1142.0',
        PlatformType: 'Linux',
      }),
    associations: () => call('ssm', 'ListInstanceAssociations', { InstanceId: instanceId, MaxResults: 20 }),
    noteAssociation: (AssociationId: string, Status: string, ExecutionDate: number) =>
      call('ssm', 'UpdateInstanceAssociationStatus', {
        InstanceId: instanceId,
        AssociationId,
        ExecutionResult: {
          Status,
          ErrorCode: '',
          ExecutionDate,
          ExecutionSummary: '1 out of 1 plugin processed',
        },
      }),
    messages: async (
      Destination = instanceId,
    ): Promise<{ MessageId: string; Topic: string; Payload: string }[]> => {
      const asked = { Destination, MessagesRequestId: 'request', VisibilityTimeoutInSeconds: 1 }
      return (await call('ec2messages', 'GetMessages', asked)).Messages
    },
    fail: (MessageId: string) =>
      call('ec2messages', 'FailMessage', { MessageId, FailureType: 'InternalHandlerException' }),
    say: (MessageId: string, payload: object) =>
      call('ec2messages', 'SendReply', { MessageId, ReplyId: 'reply', Payload: JSON.stringify(payload) }),
    acknowledge: (MessageId: string) => call('ec2messages', 'AcknowledgeMessage', { MessageId }),
    reply: (MessageId: string, documentStatus: string, output = '') =>
      call('ec2messages', 'SendReply', {
        MessageId,
        ReplyId: 'reply',
        Payload: JSON.stringify({
          additionalInfo: { runtimeStatusCounts: { [documentStatus]: 1 } },
          documentStatus,
          documentTraceOutput: '',
          runtimeStatus:
            documentStatus === 'InProgress'
              ? {}
              : {
                  target: {
                    status: documentStatus,
                    code: documentStatus === 'Success' ? 0 : 1,
                    name: 'aws:runShellScript',
                    output,
                    standardOutput: output,
                    standardError: '',
                  },
                },
        }),
      }),
  }
}
