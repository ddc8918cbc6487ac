import type { DocumentResult, StepResult } from './run-document.ts'
import { truncateOutput } from './truncate-output.ts'

/** What the agent reports of a command: the payload of `SendReply`. */
export interface Reply {
  additionalInfo: object
  documentStatus: string
  documentTraceOutput: string
  runtimeStatus: Record<string, object>
}

export const AGENT_VERSION = '3.3.2746.0'

const MAX_STANDARD_OUTPUT = 24_000
const MAX_STANDARD_ERROR = 8000

export function inProgressReply(): Reply {
  return reply('InProgress', [], [])
}

/** After each step, while the document goes on. */
export function stepReply(step: StepResult, all: StepResult[]): Reply {
  return reply('InProgress', [step], all)
}

/** Of a document with several steps, their outputs are in the replies before. */
export function finalReply({ status, trace, steps }: DocumentResult): Reply {
  return { ...reply(status, steps.length === 1 ? steps : [], steps), documentTraceOutput: trace }
}

export function failureReply(trace: string): Reply {
  return finalReply({ status: 'Failed', trace, steps: [] })
}

function reply(documentStatus: string, told: StepResult[], all: StepResult[]): Reply {
  return {
    additionalInfo: {
      agent: { lang: 'en-US', name: 'amazon-ssm-agent', os: '', osver: '1', ver: AGENT_VERSION },
      dateTime: new Date().toISOString(),
      runId: '',
      runtimeStatusCounts: countStatuses(all),
    },
    documentStatus,
    documentTraceOutput: '',
    runtimeStatus: Object.fromEntries(told.map((step) => [step.name, runtimeStatus(step)])),
  }
}

export function countStatuses(steps: StepResult[]): Record<string, number> {
  const statuses = Map.groupBy(steps, ({ status }) => status)
  return Object.fromEntries([...statuses].map(([status, found]) => [status, found.length]))
}

function runtimeStatus(step: StepResult): object {
  return {
    status: step.status,
    code: step.code,
    name: step.action,
    output: truncateOutput(step.standardOutput, step.standardError),
    startDateTime: step.startedAt.toISOString(),
    endDateTime: step.endedAt.toISOString(),
    outputS3BucketName: '',
    outputS3KeyPrefix: '',
    stepName: '',
    standardOutput: keepBeginning(step.standardOutput, MAX_STANDARD_OUTPUT, '--output truncated--'),
    standardError: keepBeginning(step.standardError, MAX_STANDARD_ERROR, '--output truncated--'),
  }
}

function keepBeginning(text: string, length: number, suffix: string): string {
  return text.length <= length ? text : text.slice(0, length - suffix.length) + suffix
}
