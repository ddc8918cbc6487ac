import { agentOperation, type Caller, type Operation } from '../http/aws-json.ts'
import { ServiceError } from '../http/service.ts'
import type { Associations, ExecutionResult } from './associations.ts'
import type { Instances } from './instances.ts'
import type { Mailbox } from './mailbox.ts'
import { parseReply } from './reply.ts'
import type { RunCommand } from './run-command.ts'

export interface AgentOperationsOptions {
  instances: Instances
  associations: Associations
  mailbox: Mailbox
  runs: RunCommand
  endpointUrl: () => string
}

const LONGEST_POLL_MS = 8000

interface Identity {
  InstanceId: string
}

/** What only agents ask of SSM: who they are, and which associations are theirs. */
export function informationOperations({ instances, associations }: AgentOperationsOptions): Operation[] {
  return [
    agentOperation<Identity & Record<string, string | undefined>>(
      'UpdateInstanceInformation',
      async (input, caller) => {
        checkIdentity(input.InstanceId, caller)
        instances.introduce(input.InstanceId, {
          version: input.AgentVersion ?? '',
          platformType: input.PlatformType ?? 'Linux',
          platformName: input.PlatformName ?? '',
          platformVersion: input.PlatformVersion ?? '',
          ipAddress: input.IPAddress ?? '',
          computerName: input.ComputerName ?? '',
        })
        return {}
      },
    ),
    agentOperation<Identity>('ListInstanceAssociations', async ({ InstanceId }, caller) => {
      checkIdentity(InstanceId, caller)
      return { Associations: associations.of(instances.get(InstanceId)) }
    }),
    agentOperation<Identity & { AssociationId: string; ExecutionResult: ExecutionResult }>(
      'UpdateInstanceAssociationStatus',
      async ({ InstanceId, AssociationId, ExecutionResult }, caller) => {
        checkIdentity(InstanceId, caller)
        associations.note(AssociationId, InstanceId, ExecutionResult)
        return {}
      },
    ),
  ]
}

interface Addressed {
  MessageId: string
}

/** The message delivery service, `ec2messages`. */
export function messageOperations(options: AgentOperationsOptions): Operation[] {
  const { instances, mailbox, runs, endpointUrl } = options
  const remove = async ({ MessageId }: Addressed, caller: Caller) => {
    checkIdentity(addressee(MessageId), caller)
    mailbox.remove(MessageId)
    return {}
  }
  return [
    agentOperation<{ Destination: string; MessagesRequestId: string; VisibilityTimeoutInSeconds?: number }>(
      'GetMessages',
      async (
        { Destination, MessagesRequestId, VisibilityTimeoutInSeconds: visibilitySeconds = 10 },
        caller,
      ) => {
        checkIdentity(Destination, caller)
        instances.hear(Destination)
        const Messages = await mailbox.collect(Destination, {
          visibilitySeconds,
          waitMs: LONGEST_POLL_MS,
          gone: caller.gone,
        })
        return { Destination, MessagesRequestId, Messages }
      },
    ),
    agentOperation<Addressed & { Payload: string }>('SendReply', async ({ MessageId, Payload }, caller) => {
      const instanceId = addressee(MessageId)
      checkIdentity(instanceId, caller)
      instances.hear(instanceId)
      runs.reply(MessageId, instanceId, parseReply(Payload))
      return {}
    }),
    agentOperation('AcknowledgeMessage', remove),
    agentOperation('DeleteMessage', remove),
    agentOperation<Addressed>('FailMessage', async ({ MessageId }, caller) => {
      await remove({ MessageId }, caller)
      runs.fail(MessageId, addressee(MessageId))
      return {}
    }),
    agentOperation('GetEndpoint', async () => ({ Endpoint: { Protocol: 'http', Endpoint: endpointUrl() } })),
  ]
}

const addressee = (messageId: string) => messageId.split('.')[3] ?? ''

/** A target's role speaks for that target only. */
function checkIdentity(instanceId: string, { principal }: Caller): void {
  if (!principal.startsWith('role/') || principal === `role/${instanceId}`) return
  throw new ServiceError(400, 'AccessDeniedException', `${principal} may not speak for ${instanceId}.`)
}
