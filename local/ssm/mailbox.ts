import { JsonFolder } from '../json-folder.ts'

/** As the message delivery service hands it to an agent. */
export interface Message {
  CreatedDate: string
  Destination: string
  MessageId: string
  Payload: string
  Topic: string
}

/** What Run Command needs of the way to the agents. */
export interface Messages {
  post(message: Message): void
  remove(messageId: string): void
  /** Whether its agent has it, or had it and acknowledged. */
  isHandedOut(messageId: string): boolean
}

/** Messages for agents, kept until they are acknowledged; one that is not comes again. */
export class Mailbox implements Messages {
  readonly #messages: JsonFolder<Message>
  readonly #hiddenUntil = new Map<string, number>()
  readonly #waiting = new Map<string, Set<() => void>>()

  constructor(directory: string) {
    this.#messages = new JsonFolder(directory)
  }

  post(message: Message): void {
    this.#messages.put(message.MessageId, message)
    this.#wake(message.Destination)
  }

  /** Answers as soon as there is something, and with nothing after the time; who has left is given nothing. */
  async collect(
    destination: string,
    { visibilitySeconds, waitMs, gone }: { visibilitySeconds: number; waitMs: number; gone: AbortSignal },
  ): Promise<Message[]> {
    const deadline = Date.now() + waitMs
    gone.addEventListener('abort', () => this.#wake(destination))
    for (;;) {
      if (gone.aborted) return []
      const visible = this.#visible(destination)
      const remaining = deadline - Date.now()
      if (visible.length > 0 || remaining <= 0) return this.#hide(visible, visibilitySeconds)
      await this.#nextPost(destination, remaining)
    }
  }

  remove(messageId: string): void {
    this.#messages.delete(messageId)
    this.#hiddenUntil.delete(messageId)
  }

  isHandedOut(messageId: string): boolean {
    return this.#hiddenUntil.has(messageId) || !this.#messages.get(messageId)
  }

  close(): void {
    for (const destination of this.#waiting.keys()) this.#wake(destination)
  }

  #visible(destination: string): Message[] {
    const now = Date.now()
    return this.#messages
      .all()
      .filter((message) => message.Destination === destination)
      .filter(({ MessageId }) => (this.#hiddenUntil.get(MessageId) ?? 0) <= now)
  }

  #hide(messages: Message[], seconds: number): Message[] {
    for (const { MessageId } of messages) this.#hiddenUntil.set(MessageId, Date.now() + seconds * 1000)
    return messages
  }

  #nextPost(destination: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(destination) ?? new Set()
      this.#waiting.set(destination, waiting)
      const done = () => {
        clearTimeout(timer)
        waiting.delete(done)
        resolve()
      }
      // A hidden message may become visible in between: look once a second.
      const timer = setTimeout(done, Math.min(timeoutMs, 1000))
      waiting.add(done)
    })
  }

  #wake(destination: string): void {
    for (const done of [...(this.#waiting.get(destination) ?? [])]) done()
  }
}
