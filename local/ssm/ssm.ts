import { join } from 'node:path'
import {
  CancelCommand$,
  type CancelCommandRequest,
  DescribeDocument$,
  type DescribeDocumentRequest,
  DescribeInstanceInformation$,
  type DescribeInstanceInformationRequest,
  DescribeInstanceProperties$,
  type DescribeInstancePropertiesRequest,
  GetCommandInvocation$,
  type GetCommandInvocationRequest,
  GetDocument$,
  type GetDocumentRequest,
  ListCommandInvocations$,
  type ListCommandInvocationsRequest,
  ListCommands$,
  type ListCommandsRequest,
  SendCommand$,
  type SendCommandRequest,
} from '@aws-sdk/client-ssm'
import { awsJsonService, type Operation, operation } from '../http/aws-json.ts'
import type { Service } from '../http/service.ts'
import { informationOperations, messageOperations } from './agent-operations.ts'
import { Associations, type GivenAssociation } from './associations.ts'
import { Documents, type GivenDocument } from './documents.ts'
import { ssmError } from './errors.ts'
import { Instances } from './instances.ts'
import { Mailbox } from './mailbox.ts'
import {
  describeCommand,
  describeInstanceInformation,
  describeInstanceProperties,
  getCommandInvocation,
  listCommandInvocations,
  listCommands,
} from './queries.ts'
import { RunCommand } from './run-command.ts'
import { acceptCommand } from './send-command.ts'

export interface SsmOptions {
  /** Commands, documents and undelivered messages lie here, and go on after a restart. */
  directory: string
  region: string
  endpointUrl: () => string
  /** An agent that was not heard of for so long is ConnectionLost. */
  lostAfterSeconds?: number
}

/** Systems Manager, as far as a deploy uses it: Run Command that really runs, and State Manager's associations. */
export interface Ssm {
  /** By signing name. */
  services: { ssm: Service; ec2messages: Service }
  putDocument(document: GivenDocument): void
  putAssociation(association: GivenAssociation): void
  /** What EC2 knows of an instance, before its agent has said a word. */
  registerInstance(instanceId: string, tags: Record<string, string>): void
  terminateInstance(instanceId: string): void
  /** As EC2 stops it; registering it again starts it. */
  stopInstance(instanceId: string): void
  isOnline(instanceId: string): boolean
  close(): void
}

export function openSsm({ directory, region, endpointUrl, lostAfterSeconds = 25 }: SsmOptions): Ssm {
  const documents = new Documents(join(directory, 'documents'))
  const instances = new Instances(join(directory, 'instances'), lostAfterSeconds)
  const associations = new Associations(join(directory, 'associations'), documents)
  const mailbox = new Mailbox(join(directory, 'messages'))
  const runs = new RunCommand({ directory, region, documents, instances, mailbox })
  const parts = { documents, instances, associations, mailbox, runs, endpointUrl }
  return {
    services: {
      ssm: awsJsonService([...clientOperations(parts), ...informationOperations(parts)]),
      ec2messages: awsJsonService(messageOperations(parts)),
    },
    putDocument: (document) => documents.put(document),
    putAssociation: (association) => associations.put(association),
    registerInstance: (instanceId, tags) => instances.register(instanceId, tags),
    terminateInstance: (instanceId) => instances.terminate(instanceId),
    stopInstance: (instanceId) => instances.stop(instanceId),
    isOnline: (instanceId) => instances.isOnline(instanceId),
    close() {
      runs.close()
      mailbox.close()
    },
  }
}

interface Parts {
  documents: Documents
  instances: Instances
  runs: RunCommand
}

/** What the SDK's clients ask of SSM. */
export function clientOperations({ documents, instances, runs }: Parts): Operation[] {
  return [
    operation(SendCommand$, async (request: SendCommandRequest) => {
      const command = acceptCommand(request, { documents, instances })
      // The answer is older than the first message to an agent.
      const Command = describeCommand(command)
      runs.start(command)
      return { Command }
    }),
    operation(CancelCommand$, async ({ CommandId = '', InstanceIds = [] }: CancelCommandRequest) => {
      const command = runs.get(CommandId)
      if (!command) throw ssmError('InvalidCommandId', `There is no command ${CommandId}.`)
      runs.cancel(command, InstanceIds)
      return {}
    }),
    operation(ListCommands$, async (request: ListCommandsRequest) => listCommands(runs, request)),
    operation(ListCommandInvocations$, async (request: ListCommandInvocationsRequest) =>
      listCommandInvocations(runs, request),
    ),
    operation(GetCommandInvocation$, async (request: GetCommandInvocationRequest) =>
      getCommandInvocation(runs, request),
    ),
    operation(DescribeInstanceInformation$, async (request: DescribeInstanceInformationRequest) =>
      describeInstanceInformation(instances, request),
    ),
    operation(DescribeInstanceProperties$, async (request: DescribeInstancePropertiesRequest) =>
      describeInstanceProperties(instances, request),
    ),
    operation(DescribeDocument$, async ({ Name, DocumentVersion, VersionName }: DescribeDocumentRequest) => {
      const found = find(documents, Name, DocumentVersion, VersionName)
      return {
        Document: {
          Name: found.name,
          Hash: found.hash,
          HashType: 'Sha256' as const,
          VersionName: found.versionName,
          Description: found.content.description,
          DocumentVersion: found.version,
          DefaultVersion: found.version,
          LatestVersion: found.version,
          Status: 'Active' as const,
          CreatedDate: new Date(found.createdAt),
          DocumentType: 'Command' as const,
          DocumentFormat: 'JSON' as const,
          SchemaVersion: found.content.schemaVersion,
          PlatformTypes: ['Linux' as const],
          TargetType: '/AWS::EC2::Instance',
        },
      }
    }),
    operation(GetDocument$, async ({ Name, DocumentVersion, VersionName }: GetDocumentRequest) => {
      const found = find(documents, Name, DocumentVersion, VersionName)
      return {
        Name: found.name,
        VersionName: found.versionName,
        DocumentVersion: found.version,
        Status: 'Active' as const,
        Content: JSON.stringify(found.content),
        DocumentType: 'Command' as const,
        DocumentFormat: 'JSON' as const,
      }
    }),
  ]
}

function find(documents: Documents, name?: string, version?: string, versionName?: string) {
  return documents.find(name, { ...(version && { version }), ...(versionName && { versionName }) })
}
