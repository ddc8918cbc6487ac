import { join } from 'node:path'
import { JsonFolder } from '../json-folder.ts'
import { type SleepUntil, sleepUntil } from '../sleep-until.ts'
import {
  type CommandRecord,
  hasEnded,
  type InvocationRecord,
  type InvocationStatus,
  invocationsOf,
  isOver,
  nextInvocations,
  pendingInvocations,
} from './command.ts'
import type { Documents } from './documents.ts'
import type { Instances } from './instances.ts'
import type { Messages } from './mailbox.ts'
import { type AgentReply, applyReply } from './reply.ts'

export interface RunCommandOptions {
  directory: string
  region: string
  documents: Documents
  instances: Instances
  mailbox: Messages
  /** Tests bring a clock of their own. */
  sleepUntil?: SleepUntil
}

const RESOLVE_MS = 50

/** Commands under way: hands them to the agents as rate control allows, and takes their replies. */
export class RunCommand {
  readonly #commands: JsonFolder<CommandRecord>
  readonly #options: RunCommandOptions
  readonly #expiries = new Map<string, AbortController>()
  #isClosed = false

  constructor(options: RunCommandOptions) {
    this.#options = options
    this.#commands = new JsonFolder(join(options.directory, 'commands'))
    for (const command of this.#commands.all()) {
      if (!isOver(command)) this.start(command)
    }
  }

  start(command: CommandRecord): void {
    this.#watch(command)
    this.#advance(command)
    if (!command.isResolved) setTimeout(() => this.#resolve(command), RESOLVE_MS)
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
      if (this.#isWithAgent(command, invocation)) this.#askToCancel(command, invocation)
      else this.#end(command, invocation, 'Cancelled', 'Cancelled')
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

  /** An agent that cannot read its message says so; nobody ran anything. */
  fail(messageId: string, instanceId: string): void {
    const command = this.#commands.get(messageId.split('.')[2] ?? '')
    const invocation = command?.invocations[instanceId]
    if (!command || !invocation || hasEnded(invocation)) return
    this.#end(command, invocation, 'Failed', 'Undeliverable')
    this.#advance(command)
  }

  close(): void {
    this.#isClosed = true
    for (const expiry of this.#expiries.values()) expiry.abort()
  }

  #advance(command: CommandRecord): void {
    const { send, terminate } = nextInvocations(command)
    for (const invocation of terminate) this.#end(command, invocation, 'Cancelled', 'Terminated')
    for (const invocation of send) this.#send(command, invocation)
    this.#commands.put(command.commandId, command)
    if (!isOver(command)) return
    this.#expiries.get(command.commandId)?.abort()
    this.#expiries.delete(command.commandId)
  }

  #resolve(command: CommandRecord): void {
    if (command.isResolved || this.#isClosed) return
    const found = this.#options.instances.matching(command.targets).map(({ instanceId }) => instanceId)
    command.invocations = pendingInvocations(found)
    command.isResolved = true
    this.#advance(command)
  }

  #isWithAgent(command: CommandRecord, { status, sentAt, instanceId }: InvocationRecord): boolean {
    if (status !== 'Pending') return true
    return sentAt !== undefined && this.#options.mailbox.isHandedOut(messageId(command, instanceId))
  }

  /** Without a word of the agent: what it has not got yet it shall not get any more. */
  #end(command: CommandRecord, invocation: InvocationRecord, status: InvocationStatus, details: string) {
    Object.assign(invocation, { status, statusDetails: details, endedAt: new Date().toISOString() })
    this.#options.mailbox.remove(messageId(command, invocation.instanceId))
  }

  #send(command: CommandRecord, invocation: InvocationRecord): void {
    invocation.sentAt = new Date().toISOString()
    const document = this.#options.documents.find(command.documentName, { version: command.documentVersion })
    this.#post('sendCommand', command, invocation.instanceId, {
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

  #watch(command: CommandRecord): void {
    const over = new AbortController()
    this.#expiries.set(command.commandId, over)
    const sleep = this.#options.sleepUntil ?? sleepUntil
    void sleep(new Date(command.expiresAt), over.signal).then(() => {
      if (!over.signal.aborted) this.#expire(command)
    })
  }

  /** At the end of the total time whatever has not ended counts as never delivered. */
  #expire(command: CommandRecord): void {
    for (const invocation of invocationsOf(command)) {
      if (!hasEnded(invocation)) this.#end(command, invocation, 'TimedOut', 'DeliveryTimedOut')
    }
    this.#advance(command)
  }
}

function messageId({ commandId }: CommandRecord, instanceId: string): string {
  return `aws.ssm.${commandId}.${instanceId}`
}
