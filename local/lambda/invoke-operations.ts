import {
  type AliasConfiguration,
  GetAlias$,
  type GetAliasRequest,
  GetFunction$,
  type GetFunctionRequest,
  type GetFunctionResponse,
  type InvocationRequest,
  type InvocationResponse,
  Invoke$,
} from '@aws-sdk/client-lambda'
import { ServiceError } from '../http/endpoint.ts'
import type { AsyncInvocations } from './async-invocations.ts'
import type { DurableEngine } from './durable/engine.ts'
import type { Execution } from './durable/execution.ts'
import { checkStart } from './durable/start-execution.ts'
import type { FoundFunction, FunctionRegistry } from './function-registry.ts'
import type { FunctionRunner } from './function-runner.ts'
import { type Operation, operation } from './rest-json.ts'

interface InvokeParts {
  registry: FunctionRegistry
  runner: FunctionRunner
  engine: DurableEngine
  queue: AsyncInvocations
  startExecution: (found: FoundFunction, input: string, name?: string) => Execution
}

export function invokeOperations(parts: InvokeParts): Operation[] {
  return [
    operation<InvocationRequest, InvocationResponse>(Invoke$, async (input) => {
      const found = parts.registry.find(input.FunctionName ?? '', input.Qualifier)
      const payload = readPayload(input.Payload)
      if (input.InvocationType === 'DryRun') return { StatusCode: 204 }
      if (found.config.durable) return invokeDurable(parts, found, payload, input)
      if (input.DurableExecutionName) {
        throw invalid('DurableExecutionName can only be given for a durable function.')
      }
      return invokePlain(parts, found, payload, input.InvocationType === 'Event')
    }),
    operation<GetAliasRequest, AliasConfiguration>(GetAlias$, async ({ FunctionName = '', Name = '' }) => {
      const { config, version } = parts.registry.find(FunctionName, Name)
      return { AliasArn: parts.registry.arnOf(config.name, Name), Name, FunctionVersion: version }
    }),
    operation<GetFunctionRequest, GetFunctionResponse>(
      GetFunction$,
      async ({ FunctionName = '', Qualifier }) => ({
        Configuration: describe(parts.registry.find(FunctionName, Qualifier), parts.registry),
      }),
    ),
  ]
}

async function invokePlain(
  { registry, runner, queue }: InvokeParts,
  found: FoundFunction,
  payload: string,
  later: boolean,
): Promise<InvocationResponse> {
  const functionArn = registry.arnOf(found.config.name, found.qualifier)
  if (later) {
    queue.add(functionArn, payload)
    return { StatusCode: 202 }
  }
  const result = await runner.run(found, functionArn, Buffer.from(payload))
  return {
    StatusCode: 200,
    ExecutedVersion: found.version,
    Payload: result.payload,
    ...(result.error && { FunctionError: result.error }),
  }
}

async function invokeDurable(
  { engine, startExecution }: InvokeParts,
  found: FoundFunction,
  payload: string,
  { InvocationType, DurableExecutionName }: InvocationRequest,
): Promise<InvocationResponse> {
  const later = InvocationType === 'Event'
  checkStart(found, !later, DurableExecutionName)
  const execution = startExecution(found, payload, DurableExecutionName)
  const started = { ExecutedVersion: found.version, DurableExecutionArn: execution.arn }
  if (later) return { StatusCode: 202, ...started }
  await engine.ended(execution)
  const ended = engine.find(execution.arn)
  if (ended.status === 'SUCCEEDED')
    return { StatusCode: 200, ...started, Payload: Buffer.from(ended.result ?? 'null') }
  const { ErrorType: errorType = ended.status, ErrorMessage: errorMessage } = ended.error ?? {}
  const failure = Buffer.from(JSON.stringify({ errorType, errorMessage }))
  return { StatusCode: 200, ...started, FunctionError: 'Unhandled', Payload: failure }
}

/** The payload as it came: a durable execution's name is bound to its very bytes. */
function readPayload(payload: Uint8Array | undefined): string {
  const text = payload?.length ? Buffer.from(payload).toString() : '{}'
  try {
    JSON.parse(text)
    return text
  } catch (cause) {
    const message = `Could not parse request body into json: ${cause instanceof Error ? cause.message : cause}`
    throw new ServiceError(400, 'InvalidRequestContentException', message, { Type: 'User' })
  }
}

function describe(found: FoundFunction, registry: FunctionRegistry): GetFunctionResponse['Configuration'] {
  const { config, version, qualifier } = found
  return {
    FunctionName: config.name,
    FunctionArn: registry.arnOf(config.name, qualifier),
    Runtime: 'nodejs24.x',
    Handler: config.handler,
    Timeout: config.timeoutSeconds,
    MemorySize: config.memoryMb,
    Version: version,
    State: 'Active',
    LastUpdateStatus: 'Successful',
    PackageType: 'Zip',
    Environment: { Variables: config.environment },
    ...(config.durable && {
      DurableConfig: {
        ExecutionTimeout: config.durable.executionTimeoutSeconds,
        RetentionPeriodInDays: config.durable.retentionDays,
      },
    }),
  }
}

function invalid(message: string): ServiceError {
  return new ServiceError(400, 'InvalidParameterValueException', message, { Type: 'User' })
}
