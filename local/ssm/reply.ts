import { z } from 'zod'
import type { InvocationRecord, InvocationStatus } from './command.ts'
import { validationError } from './errors.ts'

/** What the agent says of a command: its reply's payload, as far as the service keeps it. */
const agentReply = z.object({
  documentStatus: z.string(),
  documentTraceOutput: z.string().default(''),
  runtimeStatus: z
    .record(
      z.string(),
      z.object({
        status: z.string(),
        code: z.number().default(-1),
        name: z.string().default(''),
        output: z.string().default(''),
        startDateTime: z.string().optional(),
        endDateTime: z.string().optional(),
        standardOutput: z.string().default(''),
        standardError: z.string().default(''),
      }),
    )
    .nullish()
    .transform((steps) => steps ?? {}),
})
export type AgentReply = z.infer<typeof agentReply>

export function parseReply(payload: string): AgentReply {
  try {
    return agentReply.parse(JSON.parse(payload))
  } catch (cause) {
    throw validationError(`payload is no reply of an agent: ${cause}`)
  }
}

const ENDS: Record<string, [InvocationStatus, string]> = {
  Success: ['Success', 'Success'],
  SuccessAndReboot: ['Success', 'Success'],
  Failed: ['Failed', 'Failed'],
  TimedOut: ['TimedOut', 'ExecutionTimedOut'],
  Cancelled: ['Cancelled', 'Cancelled'],
}

/** The service keeps the beginning of each output, whatever the agent sent. */
const LIST_OUTPUT = 2500
const STANDARD_OUTPUT = 24_000
const STANDARD_ERROR = 8000

export function applyReply(invocation: InvocationRecord, reply: AgentReply): void {
  for (const [name, step] of Object.entries(reply.runtimeStatus)) {
    invocation.steps[name] = {
      plugin: step.name,
      status: step.status,
      code: step.code,
      output: step.output.slice(0, LIST_OUTPUT),
      standardOutput: step.standardOutput.slice(0, STANDARD_OUTPUT),
      standardError: step.standardError.slice(0, STANDARD_ERROR),
      startedAt: step.startDateTime,
      endedAt: step.endDateTime,
    }
  }
  const end = ENDS[reply.documentStatus]
  if (end) {
    ;[invocation.status, invocation.statusDetails] = end
    invocation.endedAt = new Date().toISOString()
    if (reply.documentTraceOutput && Object.keys(invocation.steps).length === 0) {
      invocation.steps.document = failedDocument(reply.documentTraceOutput)
    }
  } else if (invocation.status === 'Pending') {
    invocation.status = 'InProgress'
    invocation.statusDetails = 'InProgress'
  }
}

/** A document that failed before its first step says so in its trace only. */
function failedDocument(trace: string) {
  const output = trace.slice(0, LIST_OUTPUT)
  return { plugin: '', status: 'Failed', code: 1, output, standardOutput: '', standardError: output }
}
