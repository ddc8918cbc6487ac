import { randomBytes, randomUUID } from 'node:crypto'
import { ServiceError } from '../../http/endpoint.ts'
import type { FunctionVersion } from '../function-config.ts'
import type { Execution } from './execution.ts'

export interface StartOptions {
  version: FunctionVersion
  functionArn: string
  /** The payload's text. */
  input: string
  name: string | undefined
  now: Date
}

export function newExecution({ version, functionArn, input, name, now }: StartOptions): Execution {
  const id = randomUUID()
  const executionName = name ?? randomUUID()
  return {
    id,
    arn: `${functionArn}/durable-execution/${executionName}/${id}`,
    name: executionName,
    functionName: version.config.name,
    functionArn,
    version: version.version,
    status: 'RUNNING',
    input,
    startTimestamp: now,
    operations: [
      {
        Id: id,
        Name: executionName,
        Type: 'EXECUTION',
        StartTimestamp: now,
        Status: 'STARTED',
        ExecutionDetails: { InputPayload: input },
      },
    ],
    checkpointToken: newCheckpointToken(),
    failedInvocations: 0,
    nextTryTimestamp: now,
  }
}

export const newCheckpointToken = () => randomBytes(24).toString('base64')

/** A name is used once a function: the same payload finds the execution again, running or ended. */
export function findStarted(executions: readonly Execution[], options: StartOptions): Execution | undefined {
  const { name, version, input } = options
  const known = executions.find(
    (execution) => execution.name === name && execution.functionName === version.config.name,
  )
  if (!known || known.input === input) return known
  const message = `A durable execution with the name "${name}" was already started with another payload.`
  throw new ServiceError(409, 'DurableExecutionAlreadyStartedException', message, { Type: 'User' })
}

const LONGEST_SYNCHRONOUS_SECONDS = 900

/** What Lambda refuses before it starts anything. */
export function checkStart(
  { config, qualifier }: FunctionVersion & { qualifier: string | undefined },
  synchronous: boolean,
  name: string | undefined,
): void {
  if (!qualifier) throw invalid('You cannot invoke a durable function using an unqualified ARN.')
  if (name !== undefined && !/^[\w-]{1,64}$/.test(name)) {
    throw invalid(`Durable execution name "${name}" is not 1 to 64 letters, digits, "-" and "_".`)
  }
  if (synchronous && (config.durable?.executionTimeoutSeconds ?? 0) > LONGEST_SYNCHRONOUS_SECONDS) {
    throw invalid(
      'You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes.',
    )
  }
}

function invalid(message: string): ServiceError {
  return new ServiceError(400, 'InvalidParameterValueException', message, { Type: 'User' })
}
