import {
  CheckpointDurableExecution$,
  type CheckpointDurableExecutionRequest,
  type CheckpointDurableExecutionResponse,
  GetDurableExecution$,
  type GetDurableExecutionRequest,
  type GetDurableExecutionResponse,
  GetDurableExecutionState$,
  type GetDurableExecutionStateRequest,
  type GetDurableExecutionStateResponse,
  ListDurableExecutionsByFunction$,
  type ListDurableExecutionsByFunctionRequest,
  type ListDurableExecutionsByFunctionResponse,
  type Execution as ListedExecution,
  StopDurableExecution$,
  type StopDurableExecutionRequest,
  type StopDurableExecutionResponse,
} from '@aws-sdk/client-lambda'
import type { FunctionRegistry } from '../function-registry.ts'
import { type Operation, operation } from '../rest-json.ts'
import type { DurableEngine } from './engine.ts'
import type { Execution } from './execution.ts'

/** The operations by which functions checkpoint and others look at their executions. */
export function durableOperations(engine: DurableEngine, registry: FunctionRegistry): Operation[] {
  return [
    operation<CheckpointDurableExecutionRequest, CheckpointDurableExecutionResponse>(
      CheckpointDurableExecution$,
      async ({ DurableExecutionArn = '', CheckpointToken = '', ClientToken, Updates = [] }) => {
        const { token, changed } = engine.checkpoint(DurableExecutionArn, {
          token: CheckpointToken,
          clientToken: ClientToken,
          updates: Updates,
        })
        return { CheckpointToken: token, NewExecutionState: { Operations: changed } }
      },
    ),
    operation<GetDurableExecutionStateRequest, GetDurableExecutionStateResponse>(
      GetDurableExecutionState$,
      async ({ DurableExecutionArn = '', Marker, MaxItems }) => {
        const { operations } = engine.find(DurableExecutionArn)
        const { items, nextMarker } = page(operations, Marker, MaxItems)
        return { Operations: items, ...(nextMarker && { NextMarker: nextMarker }) }
      },
    ),
    operation<GetDurableExecutionRequest, GetDurableExecutionResponse>(
      GetDurableExecution$,
      async ({ DurableExecutionArn = '', IncludeExecutionData = true }) => {
        const execution = engine.find(DurableExecutionArn)
        return describe(execution, IncludeExecutionData)
      },
    ),
    operation<ListDurableExecutionsByFunctionRequest, ListDurableExecutionsByFunctionResponse>(
      ListDurableExecutionsByFunction$,
      async (input) => {
        const { config, version } = registry.find(input.FunctionName ?? '', input.Qualifier)
        const matching = engine
          .all()
          .filter((execution) => execution.functionName === config.name)
          .filter((execution) => execution.version === version)
          .filter((execution) => isAsked(execution, input))
          .sort((a, b) => a.startTimestamp.getTime() - b.startTimestamp.getTime())
        if (input.ReverseOrder) matching.reverse()
        const { items, nextMarker } = page(matching, input.Marker, input.MaxItems)
        return { DurableExecutions: items.map(listed), ...(nextMarker && { NextMarker: nextMarker }) }
      },
    ),
    operation<StopDurableExecutionRequest, StopDurableExecutionResponse>(
      StopDurableExecution$,
      async ({ DurableExecutionArn = '', Error: error }) => ({
        StopTimestamp: engine.stop(DurableExecutionArn, error),
      }),
    ),
  ]
}

function isAsked(execution: Execution, asked: ListDurableExecutionsByFunctionRequest): boolean {
  const { DurableExecutionName, Statuses, StartedAfter, StartedBefore } = asked
  if (DurableExecutionName && execution.name !== DurableExecutionName) return false
  if (Statuses && !Statuses.includes(execution.status)) return false
  if (StartedAfter && execution.startTimestamp <= StartedAfter) return false
  return !(StartedBefore && execution.startTimestamp >= StartedBefore)
}

function listed({
  arn,
  name,
  functionArn,
  status,
  startTimestamp,
  endTimestamp,
}: Execution): ListedExecution {
  return {
    DurableExecutionArn: arn,
    DurableExecutionName: name,
    FunctionArn: functionArn,
    Status: status,
    StartTimestamp: startTimestamp,
    ...(endTimestamp && { EndTimestamp: endTimestamp }),
  }
}

function describe(execution: Execution, withData: boolean): GetDurableExecutionResponse {
  const { input, result, error, version } = execution
  const data = {
    InputPayload: input,
    ...(result !== undefined && { Result: result }),
    ...(error && { Error: error }),
  }
  return { ...listed(execution), Version: version, ExecutionDataIncluded: withData, ...(withData && data) }
}

const LARGEST_PAGE = 1000

function page<T>(all: readonly T[], marker: string | undefined, size = LARGEST_PAGE) {
  const start = Number(marker ?? 0)
  const end = start + Math.min(size || LARGEST_PAGE, LARGEST_PAGE)
  return { items: all.slice(start, end), nextMarker: end < all.length ? String(end) : undefined }
}
