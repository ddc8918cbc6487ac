import {
  type CommandInvocation,
  DescribeDocumentCommand,
  paginateListCommandInvocations,
  paginateListCommands,
  SendCommandCommand,
  type SSMClient,
  type Command as SsmCommand,
} from '@aws-sdk/client-ssm'
import { type Command, commandParameters } from '../release/command.ts'
import { IDS_PER_CALL } from '../release/fleet.ts'

/** The document as it was when the rollout began: it ends on the version that it began with. */
export interface PinnedDocument {
  name: string
  version: string
  hash: string
}

export interface SendOptions {
  document: PinnedDocument
  targets: readonly string[]
  command: Command
  /** Recognizes a command whose answer was lost: SendCommand has no client token. At most 100 characters. */
  comment: string
  /** When the phase began; what it sent is not looked for before. */
  since: string
  maxConcurrency: string
  deliverySeconds: number
}

export interface Invocation {
  target: string
  status: string
  ended: boolean
  output: string
}

export interface Sent {
  commandIds: string[]
  /** Terminated, unknown to SSM, or without the tags that IAM demands. */
  refused: string[]
}

/** SSM Run Command, as the rollout uses it. */
export interface RunCommand {
  pinDocument(name: string): Promise<PinnedDocument>
  /** Sends in calls of 50 ids, or finds what an earlier try had sent. */
  send(options: SendOptions): Promise<Sent>
  /** On how many targets each of these has ended: one call for fifty commands, where `invocations` is one for each. */
  endedCounts(
    commandIds: readonly string[],
    phase: Pick<SendOptions, 'document' | 'since'>,
  ): Promise<number[]>
  invocations(commandIds: readonly string[]): Promise<Invocation[]>
}

const CLOCK_SKEW_MS = 60_000
const ENDED = new Set(['Success', 'Failed', 'TimedOut', 'Cancelled'])

/** A terminated instance, one that lost its tags, one that is no EC2 instance any more. */
const REFUSES_AN_ID = new Set(['InvalidInstanceId', 'AccessDeniedException', 'UnsupportedPlatformType'])

/**
 * `sender` sends and does not try again by itself: SendCommand has no client token, and an answer that was lost
 * would become a second command. Who calls `send` again finds what arrived.
 */
export function runCommand(ssm: SSMClient, sender: SSMClient): RunCommand {
  return {
    async pinDocument(name) {
      // CloudFormation has been seen to leave the default version behind (its coverage roadmap, issue 2539).
      const newest = new DescribeDocumentCommand({ Name: name, DocumentVersion: '$LATEST' })
      const { Document } = await ssm.send(newest)
      return { name, version: Document?.DocumentVersion ?? '', hash: Document?.Hash ?? '' }
    },

    async send(options) {
      const sent = await findSent(ssm, options)
      const commandIds: string[] = []
      const reached = new Set<string>()
      const sendTo = async (ids: readonly string[], comment: string): Promise<void> => {
        const known = sent.get(comment)
        const isHalved = [...sent.keys()].some((other) => other.startsWith(`${comment}.`))
        const command = known ?? (isHalved ? undefined : await sendOnce(sender, options, ids, comment))
        if (command) {
          commandIds.push(command.id)
          for (const id of command.targets) reached.add(id)
        } else if (ids.length > 1) {
          // One id that SSM or IAM refuses spoils the call: the halves without it go out.
          const middle = Math.ceil(ids.length / 2)
          await sendTo(ids.slice(0, middle), `${comment}.0`)
          await sendTo(ids.slice(middle), `${comment}.1`)
        }
      }
      for (const [index, ids] of chunks(options.targets, IDS_PER_CALL).entries()) {
        await sendTo(ids, `${options.comment} ${index}`)
      }
      return { commandIds, refused: options.targets.filter((target) => !reached.has(target)) }
    },

    async endedCounts(commandIds, phase) {
      const counts = new Map<string, number>()
      for await (const { CommandId = '', CompletedCount = 0 } of commandsSince(ssm, phase)) {
        counts.set(CommandId, CompletedCount)
      }
      return commandIds.map((id) => counts.get(id) ?? 0)
    },

    async invocations(commandIds) {
      const found: Invocation[] = []
      for (const CommandId of commandIds) {
        const pages = paginateListCommandInvocations(
          { client: ssm, pageSize: 50 },
          { CommandId, Details: true },
        )
        for await (const page of pages) found.push(...(page.CommandInvocations ?? []).map(toInvocation))
      }
      return found
    },
  }
}

interface SentCommand {
  id: string
  targets: readonly string[]
}

/** What was sent through a document since the phase began, by comment. */
async function findSent(ssm: SSMClient, phase: SendOptions): Promise<ReadonlyMap<string, SentCommand>> {
  const sent = new Map<string, SentCommand>()
  for await (const { Comment, CommandId, InstanceIds } of commandsSince(ssm, phase)) {
    if (Comment && CommandId) sent.set(Comment, { id: CommandId, targets: InstanceIds ?? [] })
  }
  return sent
}

async function* commandsSince(
  ssm: SSMClient,
  { document, since }: Pick<SendOptions, 'document' | 'since'>,
): AsyncGenerator<SsmCommand> {
  const earliest = new Date(Date.parse(since) - CLOCK_SKEW_MS).toISOString()
  const Filters = [
    { key: 'DocumentName' as const, value: document.name },
    { key: 'InvokedAfter' as const, value: earliest.replace(/\.\d+/, '') },
  ]
  for await (const page of paginateListCommands({ client: ssm, pageSize: 50 }, { Filters })) {
    yield* page.Commands ?? []
  }
}

/** Undefined when one of the ids is refused, and with it the call. */
async function sendOnce(
  sender: SSMClient,
  options: SendOptions,
  ids: readonly string[],
  comment: string,
): Promise<SentCommand | undefined> {
  const { document } = options
  const command = new SendCommandCommand({
    DocumentName: document.name,
    DocumentVersion: document.version,
    DocumentHash: document.hash,
    DocumentHashType: 'Sha256',
    InstanceIds: [...ids],
    Parameters: commandParameters(options.command),
    Comment: comment,
    TimeoutSeconds: options.deliverySeconds,
    MaxConcurrency: options.maxConcurrency,
    // The rollout judges the verdicts itself; dead and denied targets would never count here.
    MaxErrors: '100%',
  })
  try {
    const { Command: sent } = await sender.send(command)
    if (sent?.CommandId) return { id: sent.CommandId, targets: ids }
  } catch (error) {
    if (error instanceof Error && REFUSES_AN_ID.has(error.name)) return undefined
    throw error
  }
  throw new Error(`SSM answered SendCommand for "${document.name}" without a command id`)
}

function toInvocation(invocation: CommandInvocation): Invocation {
  const status = invocation.StatusDetails || invocation.Status || 'Pending'
  return {
    target: invocation.InstanceId ?? '',
    status,
    ended: ENDED.has(invocation.Status ?? ''),
    output: invocation.CommandPlugins?.[0]?.Output ?? '',
  }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  )
}
