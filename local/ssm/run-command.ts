import { join } from 'node:path'
import {
  type CommandRecord,
  hasEnded,
  type InvocationRecord,
  invocationsOf,
  nextInvocations,
} from './command.ts'
import type { Documents } from './documents.ts'
import { JsonFolder } from './json-folder.ts'
import type { Mailbox } from './mailbox.ts'
import { type AgentReply, applyReply } from './reply.ts'

export interface RunCommandOptions {
  directory: string
  region: string
  documents: Documents
  mailbox: Mailbox
}

/** Commands under way: hands them to the agents as rate control allows, and takes their replies. */
export class RunCommand {
  readonly #commands: JsonFolder<CommandRecord>
  readonly #options: RunCommandOptions
  readonly #expiries = new Map<string, NodeJS.Timeout>()

  constructor(options: RunCommandOptions) {
    this.#options = options
    this.#commands = new JsonFolder(join(options.directory, 'commands'))
    for (const command of this.#commands.all()) {
      if (!invocationsOf(command).every(hasEnded)) this.#watch(command)
    }
  }

  start(command: CommandRecord): void {
    this.#watch(command)
    this.#advance(command)
  }

  get(commandId: string): CommandRecord | undefined {
    return this.#commands.get(commandId)
  }

  /** The newest first. */
  all(): CommandRecord[] {
    return this.#commands.all().sort((a, b) => b.requestedAt.localeCompare(a.requestedAt))
  }

  cancel(command: CommandRecord, instanceIds: readonly string[]): void {
    const chosen = instanceIds.length > 0 ? instanceIds : Object.keys(command.invocations)
    if (instanceIds.length === 0) command.isCancelled = true
    for (const invocation of invocationsOf(command)) {
      if (!chosen.includes(invocation.instanceId) || hasEnded(invocation)) continue
      if (invocation.sentAt) this.#askToCancel(command, invocation)
      else end(invocation, 'Cancelled', 'Cancelled')
    }
    this.#advance(command)
  }

  /** What came for a command that is over already, or from another instance, changes nothing. */
  reply(messageId: string, instanceId: string, reply: AgentReply): void {
    const [, , commandId = '', addressee] = messageId.split('.')
    const command = this.#commands.get(commandId)
    const invocation = addressee === instanceId ? command?.invocations[instanceId] : undefined
    if (!command || !invocation || hasEnded(invocation)) return
    applyReply(invocation, reply)
    this.#advance(command)
  }

  close(): void {
    for (const timer of this.#expiries.values()) clearTimeout(timer)
  }

  #advance(command: CommandRecord): void {
    const { send, terminate } = nextInvocations(command)
    for (const id of terminate) end(command.invocations[id], 'Cancelled', 'Terminated')
    for (const id of send) this.#send(command, id)
    this.#commands.put(command.commandId, command)
    if (invocationsOf(command).every(hasEnded)) clearTimeout(this.#expiries.get(command.commandId))
  }

  #send(command: CommandRecord, instanceId: string): void {
    const invocation = command.invocations[instanceId]
    if (!invocation) return
    invocation.sentAt = new Date().toISOString()
    const document = this.#options.documents.find(command.documentName, { version: command.documentVersion })
    this.#post('sendCommand', command, instanceId, {
      Parameters: command.resolvedParameters,
      DocumentContent: document.content,
      CommandId: command.commandId,
      DocumentName: command.documentName,
      OutputS3KeyPrefix: '',
      OutputS3BucketName: '',
      CloudWatchLogGroupName: '',
      CloudWatchOutputEnabled: 'false',
    })
  }

  #askToCancel(command: CommandRecord, invocation: InvocationRecord): void {
    invocation.status = 'Cancelling'
    invocation.statusDetails = 'Cancelling'
    const { instanceId } = invocation
    this.#post('cancelCommand', command, instanceId, { CancelMessageId: messageId(command, instanceId) })
  }

  #post(
    kind: 'sendCommand' | 'cancelCommand',
    command: CommandRecord,
    instanceId: string,
    payload: object,
  ): void {
    const id = messageId(command, instanceId)
    this.#options.mailbox.post({
      CreatedDate: new Date().toISOString(),
      Destination: instanceId,
      MessageId: kind === 'sendCommand' ? id : id.replace('aws.ssm.', 'aws.ssm.cancel-'),
      Payload: JSON.stringify(payload),
      Topic: `aws.ssm.${kind}.${this.#options.region}.${instanceId}`,
    })
  }

  /** At the end of the total time whatever has not ended counts as never delivered. */
  #watch(command: CommandRecord): void {
    const remaining = Math.min(Date.parse(command.expiresAt) - Date.now(), 2 ** 31 - 1)
    const timer = setTimeout(() => this.#expire(command), Math.max(remaining, 0))
    this.#expiries.set(command.commandId, timer)
  }

  #expire(command: CommandRecord): void {
    for (const invocation of invocationsOf(command)) {
      if (hasEnded(invocation)) continue
      end(invocation, 'TimedOut', 'DeliveryTimedOut')
      this.#options.mailbox.remove(messageId(command, invocation.instanceId))
    }
    this.#advance(command)
  }
}

function messageId({ commandId }: CommandRecord, instanceId: string): string {
  return `aws.ssm.${commandId}.${instanceId}`
}

function end(
  invocation: InvocationRecord | undefined,
  status: 'Cancelled' | 'TimedOut',
  details: string,
): void {
  if (invocation)
    Object.assign(invocation, { status, statusDetails: details, endedAt: new Date().toISOString() })
}
