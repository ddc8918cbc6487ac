import type { SendCommand$ } from '@aws-sdk/client-ssm'
import { fromJson, toJson } from './json-codec.ts'
import { observed, readBody, type Service, ServiceError } from './service.ts'

/** An operation's schema as an SDK client exports it. */
type OperationSchema = typeof SendCommand$
type Members = Record<string, unknown>

/** Who asks, as its signature says. */
export interface Caller {
  principal: string
  /** Aborted when nobody waits for the answer any more. */
  gone: AbortSignal
}

export interface Operation {
  name: string
  /** Absent for the agent's own operations: the SDK has no model of them. */
  schema?: OperationSchema
  run(input: Members, caller: Caller): Promise<Members>
}

/** Ties what an operation does to its schema; the types are those of the SDK's own models. */
export function operation<Input extends object, Output extends object>(
  schema: OperationSchema,
  run: (input: Input) => Promise<Output>,
): Operation {
  return { name: schema[2], schema, run: async (input) => (await run(input as Input)) as Members }
}

/** An operation of the agent's, in plain JSON. */
export function agentOperation<Input extends object>(
  name: string,
  run: (input: Input, caller: Caller) => Promise<object>,
): Operation {
  return { name, run: async (input, caller) => (await run(input as Input, caller)) as Members }
}

/** A server for AWS JSON 1.0 and 1.1, with the codec that the SDK's clients use. */
export function awsJsonService(operations: readonly Operation[]): Service {
  const byName = new Map(operations.map((known) => [known.name, known]))
  return async (request, response) => {
    const { headers, body, principal } = request
    const name = String(headers['x-amz-target'] ?? '').split('.')[1] ?? ''
    const found = byName.get(name)
    if (!found) {
      throw new ServiceError(
        400,
        'UnknownOperationException',
        `The local cloud has no operation "${name}" of that service.`,
      )
    }
    const input = await readInput(found, (await readBody(body)).toString() || '{}')
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const output = await observed(request, { operation: name, input }, () =>
      found.run(input, { principal, gone: gone.signal }),
    )
    response.writeHead(200, { 'content-type': headers['content-type'] ?? 'application/x-amz-json-1.1' })
    response.end(writeOutput(found, output))
  }
}

async function readInput({ schema }: Operation, text: string): Promise<Members> {
  try {
    return schema ? await fromJson(schema[4], text) : JSON.parse(text)
  } catch (cause) {
    throw new ServiceError(400, 'SerializationException', `Could not parse the request: ${cause}`)
  }
}

function writeOutput({ schema }: Operation, output: Members): string | Buffer {
  return schema ? toJson(schema[5], output) : JSON.stringify(output)
}
