import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { CommandJournal } from './command-journal.ts'
import type { Call } from './message-service.ts'
import { failureReply, finalReply, inProgressReply, type Reply, stepReply } from './reply.ts'
import { type DocumentRun, runDocument } from './run-document.ts'

export interface Message {
  MessageId: string
  Topic: string
  Payload: string
}

export interface CommandsOptions {
  call: Call
  journal: CommandJournal
  /** Each command has a folder in it. */
  orchestrationFolder: string
  settings: Pick<DocumentRun, 'environment' | 'knowsEnvironmentParameters'>
}

interface CommandPayload {
  CommandId: string
  DocumentContent: unknown
  Parameters?: Record<string, unknown> | null
}

const AT_ONCE = 5
const PAUSE_MS = 1000
const GIVE_UP_MS = 2 * 3600 * 1000
const CRASHED =
  'document process failed unexpectedly: the agent ended, check [ssm-document-worker]/[ssm-session-worker] log for crash reason'

/** The commands that this target is sent: taken on, run, reported. */
export class Commands {
  readonly #options: CommandsOptions
  readonly #running = new Map<string, AbortController>()

  constructor(options: CommandsOptions) {
    this.#options = options
  }

  /** What an earlier agent left without a last word. */
  async settleUnfinished(): Promise<void> {
    const left = this.#options.journal.undelivered()
    await Promise.all(
      left.map(({ messageId, reply }) => this.#settle(messageId, reply ?? failureReply(CRASHED))),
    )
  }

  async take(message: Message): Promise<void> {
    const { MessageId } = message
    if (message.Topic.startsWith('aws.ssm.cancelCommand')) return this.#cancel(message)
    if (this.#options.journal.has(MessageId)) return this.#acknowledge(MessageId)
    // It comes again.
    if (this.#running.size >= AT_ONCE) return
    const cancellation = new AbortController()
    this.#running.set(MessageId, cancellation)
    try {
      await this.#run(message, cancellation.signal)
    } finally {
      this.#running.delete(MessageId)
    }
  }

  async #run({ MessageId, Payload }: Message, cancelled: AbortSignal): Promise<void> {
    const { journal, orchestrationFolder, settings } = this.#options
    const payload = JSON.parse(Payload) as CommandPayload
    journal.note({ messageId: MessageId })
    await insist(() => this.#reply(MessageId, inProgressReply()))
    await insist(() => this.#acknowledge(MessageId))
    const result = await runDocument({
      content: payload.DocumentContent,
      parameters: payload.Parameters ?? {},
      folder: join(orchestrationFolder, payload.CommandId),
      environment: { ...settings.environment, SSM_COMMAND_ID: payload.CommandId },
      knowsEnvironmentParameters: settings.knowsEnvironmentParameters,
      cancelled,
      onStep: (step, all) => this.#reply(MessageId, stepReply(step, all)).catch(say),
    })
    await this.#settle(MessageId, finalReply(result))
  }

  async #cancel({ MessageId, Payload }: Message): Promise<void> {
    const { CancelMessageId } = JSON.parse(Payload) as { CancelMessageId: string }
    this.#running.get(CancelMessageId)?.abort()
    await this.#acknowledge(MessageId)
    await this.#call('DeleteMessage', { MessageId })
  }

  async #settle(messageId: string, reply: Reply): Promise<void> {
    const { journal } = this.#options
    journal.note({ messageId, reply })
    await insist(() => this.#reply(messageId, reply))
    await insist(() => this.#call('DeleteMessage', { MessageId: messageId }))
    journal.note({ messageId, isDelivered: true })
  }

  #reply(MessageId: string, reply: Reply): Promise<void> {
    return this.#call('SendReply', { MessageId, Payload: JSON.stringify(reply), ReplyId: randomUUID() })
  }

  #acknowledge(MessageId: string): Promise<void> {
    return this.#call('AcknowledgeMessage', { MessageId })
  }

  #call(operation: string, input: object): Promise<void> {
    return this.#options.call(`EC2WindowsMessageDeliveryService.${operation}`, input)
  }
}

/** What cannot be said now is said later. */
async function insist(perform: () => Promise<void>): Promise<void> {
  for (const giveUpAt = Date.now() + GIVE_UP_MS; Date.now() < giveUpAt; await delay(PAUSE_MS)) {
    try {
      return await perform()
    } catch (error) {
      say(error)
    }
  }
}

const say = (error: unknown) => console.error(error instanceof Error ? error.message : error)
