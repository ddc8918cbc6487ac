import type { ErrorObject } from '@aws-sdk/client-lambda'
import { z } from 'zod'
import type { InvocationResult } from '../runtime-api.ts'
import { type Execution, endExecution, nextInvocation } from './execution.ts'

const outcome = z.discriminatedUnion('Status', [
  z.object({ Status: z.literal('PENDING') }),
  z.object({ Status: z.literal('SUCCEEDED'), Result: z.string().optional() }),
  z.object({ Status: z.literal('FAILED'), Error: z.custom<ErrorObject>().optional() }),
])

/** Lambda gives up on a function that fails for minutes; how long exactly is not documented. */
const MAX_FAILED_INVOCATIONS = 8

/** Enters how an invocation ended: the execution goes on, has ended, or is tried again later. */
export function settleInvocation(execution: Execution, result: InvocationResult, now: Date): void {
  if (result.error) settleFailure(execution, result.payload, now)
  else settleAnswer(execution, result.payload, now)
}

function settleAnswer(execution: Execution, payload: Buffer, now: Date): void {
  execution.failedInvocations = 0
  const said = outcome.safeParse(parseJson(payload)).data
  if (!said) fail(execution, now, 'Invalid Status in invocation output.')
  else if (said.Status === 'FAILED') endExecution(execution, 'FAILED', now, { error: said.Error })
  else if (said.Status === 'SUCCEEDED') {
    // A result too large to be returned was checkpointed before, and an empty one is returned.
    endExecution(execution, 'SUCCEEDED', now, { result: said.Result || execution.result })
  } else if (!nextInvocation(execution)) {
    fail(execution, now, 'Cannot return PENDING status with no pending operations.')
  }
}

/** A crash, a timeout, a stale token: the function is invoked again, each time after twice as long. */
function settleFailure(execution: Execution, payload: Buffer, now: Date): void {
  execution.failedInvocations++
  if (execution.failedInvocations < MAX_FAILED_INVOCATIONS) {
    execution.nextTryTimestamp = new Date(now.getTime() + 1000 * 2 ** (execution.failedInvocations - 1))
    return
  }
  const { errorType, errorMessage } = parseJson(payload) as { errorType?: string; errorMessage?: string }
  endExecution(execution, 'FAILED', now, {
    error: { ErrorType: errorType ?? 'Error', ErrorMessage: errorMessage ?? '' },
  })
}

function fail(execution: Execution, now: Date, message: string): void {
  endExecution(execution, 'FAILED', now, {
    error: { ErrorType: 'InvalidParameterValueException', ErrorMessage: message },
  })
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString())
  } catch {
    return {}
  }
}
