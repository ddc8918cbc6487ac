import type { ServerResponse } from 'node:http'
import type { Invoke$ } from '@aws-sdk/client-lambda'
import { FromStringShapeDeserializer, ToStringShapeSerializer } from '@smithy/core/protocols'
import { NormalizedSchema } from '@smithy/core/schema'
import { observed, readBody, type Service, ServiceError, type SignedRequest } from '../http/endpoint.ts'
import { fromJson, JSON_SETTINGS, toJson } from '../http/json-codec.ts'

/** An operation's schema as an SDK client exports it. */
type OperationSchema = typeof Invoke$
type Members = Record<string, unknown>

export interface Operation {
  schema: OperationSchema
  run(input: Members): Promise<Members>
}

/** Ties what an operation does to its schema; the types are those of the SDK's own models. */
export function operation<Input extends object, Output extends object>(
  schema: OperationSchema,
  run: (input: Input) => Promise<Output>,
): Operation {
  return { schema, run: async (input) => (await run(input as Input)) as Members }
}

/** A server for AWS's restJson1 protocol, made of the schemas and codecs that the SDK's clients use. */
export function restJsonService(operations: readonly Operation[]): Service {
  const routes = operations.map((known) => ({ ...known, ...readRoute(known.schema) }))
  return async (request, response) => {
    for (const { method, path, schema, run } of routes) {
      const labels = method === request.method ? path.exec(request.path) : null
      if (!labels) continue
      const input = await readInput(schema, request, labels.groups ?? {})
      const output = await observed(request, { operation: schema[2], input }, () => run(input))
      return writeOutput(schema, output, response)
    }
    const message = `The local cloud does not know ${request.method} ${request.path}.`
    throw new ServiceError(404, 'UnknownOperationException', message)
  }
}

function readRoute(schema: OperationSchema): { method: string; path: RegExp } {
  const [method = '', path = ''] = httpTrait(schema)
  const pattern = path.replace(/\{(\w+)\}/g, '(?<$1>[^/]+)')
  return { method, path: new RegExp(`^${pattern}/?$`) }
}

/** Method, path, status. */
function httpTrait(schema: OperationSchema): [string, string, number] {
  return (schema[3] as { http: [string, string, number] }).http
}

const fromText = new FromStringShapeDeserializer(JSON_SETTINGS)

async function readInput(
  schema: OperationSchema,
  { url, headers, body }: SignedRequest,
  labels: Record<string, string>,
): Promise<Members> {
  const input: Members = {}
  const content = await readBody(body)
  const structure = NormalizedSchema.of(schema[4])
  let hasPayload = false
  for (const [name, member] of structure.structIterator()) {
    const traits = member.getMergedTraits()
    const label = labels[name]
    if (traits.httpLabel && label) input[name] = decodeURIComponent(label)
    if (traits.httpHeader) input[name] = headers[traits.httpHeader.toLowerCase()]
    if (traits.httpQuery) input[name] = readQuery(member, url.searchParams.getAll(traits.httpQuery))
    if (traits.httpPayload) {
      hasPayload = true
      input[name] = member.isBlobSchema() ? content : await readContent(member, content)
    }
  }
  return hasPayload ? input : { ...(await readContent(structure, content)), ...input }
}

function readQuery(member: NormalizedSchema, values: string[]): unknown {
  if (member.isListSchema()) return values.length > 0 ? values : undefined
  return values[0] === undefined ? undefined : fromText.read(member, values[0])
}

async function readContent(schema: NormalizedSchema, content: Buffer): Promise<Members | undefined> {
  if (content.length === 0) return undefined
  try {
    return await fromJson(schema, content.toString())
  } catch (cause) {
    throw new ServiceError(400, 'InvalidRequestContentException', `Could not parse request body: ${cause}`)
  }
}

function writeOutput(schema: OperationSchema, output: Members, response: ServerResponse): void {
  const structure = NormalizedSchema.of(schema[5])
  let status = httpTrait(schema)[2]
  let payload: Buffer | undefined
  for (const [name, member] of structure.structIterator()) {
    const value = output[name]
    const traits = member.getMergedTraits()
    if (value === undefined) continue
    if (traits.httpResponseCode) status = Number(value)
    if (traits.httpHeader) response.setHeader(traits.httpHeader, toText(member, value))
    if (traits.httpPayload) payload = member.isBlobSchema() ? (value as Buffer) : toJson(member, value)
  }
  const isBound = [...structure.structIterator()].some(([, member]) => member.getMergedTraits().httpPayload)
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(isBound ? payload : toJson(structure, output))
}

function toText(member: NormalizedSchema, value: unknown): string {
  const serializer = new ToStringShapeSerializer(JSON_SETTINGS)
  serializer.write(member, value)
  return serializer.flush()
}
