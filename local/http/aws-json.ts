import type { ServerResponse } from 'node:http'
import type { SendCommand$ } from '@aws-sdk/client-ssm'
import { CBOR_HEADERS, cborOperation, fromCbor, refuseAsCbor, toCbor } from './cbor-codec.ts'
import { fromJson, toJson } from './json-codec.ts'
import { observed, readBody, type Service, ServiceError, type SignedRequest } from './service.ts'

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

/** A server for AWS JSON 1.0 and 1.1, with the codec that the SDK's clients use; and for who speaks CBOR instead. */
export function awsJsonService(operations: readonly Operation[]): Service {
  const byName = new Map(operations.map((known) => [known.name, known]))
  const find = (name: string) => {
    const found = byName.get(name)
    if (found) return found
    const message = `The local cloud has no operation "${name}" of that service.`
    throw new ServiceError(400, 'UnknownOperationException', message)
  }
  const run = async (request: SignedRequest, response: ServerResponse, found: Operation, input: Members) => {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const caller = { principal: request.principal, gone: gone.signal }
    return observed(request, { operation: found.name, input }, () => found.run(input, caller))
  }

  const answerInJson: Service = async (request, response) => {
    const { headers, body } = request
    const found = find(String(headers['x-amz-target'] ?? '').split('.')[1] ?? '')
    const input = await readInput(found, (await readBody(body)).toString() || '{}')
    const output = await run(request, response, found, input)
    response.writeHead(200, { 'content-type': headers['content-type'] ?? 'application/x-amz-json-1.1' })
    response.end(writeOutput(found, output))
  }
  const answerInCbor = async (request: SignedRequest, response: ServerResponse, name: string) => {
    try {
      const found = find(name)
      const [input, output] = [found.schema?.[4] ?? 15, found.schema?.[5] ?? 15]
      const said = await run(request, response, found, await fromCbor(input, await readBody(request.body)))
      response.writeHead(200, CBOR_HEADERS).end(toCbor(output, said))
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error
      refuseAsCbor(response, error)
    }
  }
  return (request, response) => {
    const name = cborOperation(request)
    return name ? answerInCbor(request, response, name) : answerInJson(request, response)
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
