import {
  type CommandInvocation,
  DescribeDocumentCommand,
  paginateListCommandInvocations,
  paginateListCommands,
  SendCommandCommand,
  type SSMClient,
} from '@aws-sdk/client-ssm'
import { type Command, commandParameters } from '../release/command.ts'

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
  /** When the rollout began; what it sent is not looked for before. */
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

/** SSM Run Command, as the rollout uses it. */
export interface RunCommand {
  pinDocument(name: string): Promise<PinnedDocument>
  /** Sends in calls of 50 ids, or finds what an earlier try had sent. Returns the command ids. */
  send(options: SendOptions): Promise<string[]>
  invocations(commandIds: readonly string[]): Promise<Invocation[]>
}

const IDS_PER_CALL = 50
const CLOCK_SKEW_MS = 60_000
const ENDED = new Set(['Success', 'Failed', 'TimedOut', 'Cancelled'])

export function runCommand(ssm: SSMClient): RunCommand {
  return {
    async pinDocument(name) {
      const { Document } = await ssm.send(new DescribeDocumentCommand({ Name: name }))
      return { name, version: Document?.DocumentVersion ?? '', hash: Document?.Hash ?? '' }
    },

    async send(options) {
      const sent = await findSent(ssm, options)
      const commandIds: string[] = []
      for (const [index, ids] of chunks(options.targets, IDS_PER_CALL).entries()) {
        const comment = `${options.comment} ${index}`
        commandIds.push(sent.get(comment) ?? (await sendOnce(ssm, options, ids, comment)))
      }
      return commandIds
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

/** The ids of what was sent through a document since the rollout began, by comment. */
async function findSent(
  ssm: SSMClient,
  { document, since }: SendOptions,
): Promise<ReadonlyMap<string, string>> {
  const earliest = new Date(Date.parse(since) - CLOCK_SKEW_MS).toISOString()
  const Filters = [
    { key: 'DocumentName' as const, value: document.name },
    { key: 'InvokedAfter' as const, value: earliest.replace(/\.\d+/, '') },
  ]
  const sent = new Map<string, string>()
  for await (const page of paginateListCommands({ client: ssm, pageSize: 50 }, { Filters })) {
    for (const { Comment, CommandId } of page.Commands ?? []) {
      if (Comment && CommandId) sent.set(Comment, CommandId)
    }
  }
  return sent
}

async function sendOnce(
  ssm: SSMClient,
  options: SendOptions,
  ids: readonly string[],
  comment: string,
): Promise<string> {
  const { document } = options
  const { Command: sent } = await ssm.send(
    new SendCommandCommand({
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
    }),
  )
  if (!sent?.CommandId)
    throw new Error(`SSM answered SendCommand for "${document.name}" without a command id`)
  return sent.CommandId
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
