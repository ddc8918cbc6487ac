import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '../atomic-file.ts'
import type { Reply } from './reply.ts'

export interface JournalEntry {
  messageId: string
  /** The last word about the command; absent while it runs. */
  reply?: Reply
  isDelivered?: boolean
}

/**
 * Which commands this target has taken on, on its disk: one that is delivered twice runs once, and what an
 * agent could not say before it ended, the next one says.
 */
export class CommandJournal {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true })
  }

  has(messageId: string): boolean {
    return existsSync(this.#file(messageId))
  }

  note(entry: JournalEntry): void {
    writeFileAtomically(this.#file(entry.messageId), JSON.stringify(entry))
  }

  undelivered(): JournalEntry[] {
    const files = readdirSync(this.#directory).filter((name) => name.endsWith('.json'))
    const entries = files.map((name) => JSON.parse(readFileSync(join(this.#directory, name), 'utf8')))
    return entries.filter(({ isDelivered }: JournalEntry) => !isDelivered)
  }

  #file(messageId: string): string {
    return join(this.#directory, `${messageId}.json`)
  }
}
