import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { XmlCodec } from '@aws-sdk/core/protocols'
import { FromStringShapeDeserializer, ToStringShapeSerializer } from '@smithy/core/protocols'
import type { NormalizedSchema } from '@smithy/core/schema'
import type { ServiceError, SignedRequest } from '../http/service.ts'
import { invalidArgument, malformedXml } from './errors.ts'
import type { Address } from './operation.ts'

const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/'
const SETTINGS = {
  xmlNamespace: NAMESPACE,
  serviceNamespace: 'com.amazonaws.s3',
  timestampFormat: { useTrait: true, default: 5 as const },
  httpBindings: true,
}
const codec = new XmlCodec(SETTINGS)
const fromText = new FromStringShapeDeserializer(SETTINGS)
const toText = new ToStringShapeSerializer(SETTINGS)

type Members = Record<string, unknown>

/** The members of the operation's input that stand outside of the body. */
export function readParameters(schema: NormalizedSchema, request: SignedRequest, address: Address): Members {
  const input: Members = {}
  const headers = effectiveHeaders(request)
  for (const [name, member] of schema.structIterator()) {
    const { httpLabel, httpQuery, httpHeader, httpPrefixHeaders } = member.getMergedTraits()
    if (httpLabel) input[name] = name === 'Bucket' ? address.bucket : address.key
    const text = httpQuery
      ? request.url.searchParams.get(httpQuery)
      : httpHeader && headers[httpHeader.toLowerCase()]
    if (typeof text === 'string') input[name] = readText(name, member, text)
    if (httpPrefixHeaders) input[name] = withPrefix(headers, httpPrefixHeaders)
  }
  return input
}

/** The document in the body of an operation, such as the list of keys to delete. */
export function readDocument(schema: NormalizedSchema, text: string): { member: string; value: unknown } {
  const payload = payloadOf(schema)
  if (!payload) return { member: '', value: undefined }
  const [member, of] = payload
  if (of.isStringSchema()) return { member, value: text }
  const root = of.getMergedTraits().xmlName ?? of.getName() ?? ''
  const isRooted = new RegExp(`^\\s*(<\\?xml[^>]*\\?>)?\\s*<${root}[\\s/>]`).test(text)
  if (!isRooted) throw malformedXml(`it needs the element ${root}`)
  try {
    return { member, value: codec.createDeserializer().read(of, text) ?? {} }
  } catch (error) {
    throw malformedXml(String(error))
  }
}

export function payloadOf(schema: NormalizedSchema): [string, NormalizedSchema] | undefined {
  if (!schema.isStructSchema()) return undefined
  return [...schema.structIterator()].find(([, member]) => member.getMergedTraits().httpPayload)
}

/** `Body` may be a stream; `$xml` is a whole document to send in place of the output's members. */
export async function writeOutput(
  schema: NormalizedSchema,
  output: Members,
  response: ServerResponse,
  status: number,
): Promise<void> {
  if (schema.isStructSchema()) writeHeaders(schema, output, response)
  response.statusCode = status
  const body = schema.isStructSchema() ? bodyOf(schema, output) : undefined
  if (body instanceof Readable) return sendStream(body, response)
  if (body === undefined) {
    if (status !== 204 && !response.hasHeader('content-length')) response.setHeader('content-length', 0)
    response.end()
    return
  }
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'application/xml')
  response.setHeader('content-length', Buffer.byteLength(body))
  response.end(body)
}

export function writeError(response: ServerResponse, error: ServiceError, isHead: boolean): void {
  if (error.detail.DeleteMarker) response.setHeader('x-amz-delete-marker', 'true')
  if (error.detail.ETag) response.setHeader('etag', error.detail.ETag)
  response.statusCode = error.status
  if (isHead || error.status === 304) {
    response.end()
    return
  }
  const requestId = String(response.getHeader('x-amz-request-id') ?? '')
  const elements = { Code: error.code, Message: error.message, ...error.detail, RequestId: requestId }
  const xml = Object.entries(elements).map(([name, value]) => `<${name}>${escapeXml(value)}</${name}>`)
  response.setHeader('content-type', 'application/xml')
  response.end(`<?xml version="1.0" encoding="UTF-8"?>\n<Error>${xml.join('')}</Error>`)
}

/** A presigned URL carries headers as query parameters; S3 ignores checksums among them (they are of no body). */
function effectiveHeaders({ url, headers }: SignedRequest): IncomingHttpHeaders {
  if (!url.searchParams.has('X-Amz-Signature')) return headers
  const hoisted = [...url.searchParams]
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name.startsWith('x-amz-') && !/^x-amz-(sdk-)?checksum-/.test(name))
  return { ...Object.fromEntries(hoisted), ...headers }
}

function readText(name: string, member: NormalizedSchema, text: string): unknown {
  try {
    const value = fromText.read(member, text)
    if (!Number.isNaN(value)) return value
  } catch {}
  throw invalidArgument(name, text, `Provided value "${text}" of ${name} is not valid`)
}

function withPrefix(headers: IncomingHttpHeaders, prefix: string): Record<string, string> {
  const entries = Object.entries(headers)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, value]) => [name.slice(prefix.length), String(value)])
  return Object.fromEntries(entries)
}

function writeHeaders(schema: NormalizedSchema, output: Members, response: ServerResponse): void {
  for (const [name, member] of schema.structIterator()) {
    const value = output[name]
    const { httpHeader, httpPrefixHeaders } = member.getMergedTraits()
    if (value === undefined || value === null) continue
    if (httpHeader) response.setHeader(httpHeader, headerText(member, value))
    if (httpPrefixHeaders) {
      for (const [suffix, text] of Object.entries(value)) response.setHeader(httpPrefixHeaders + suffix, text)
    }
  }
}

function headerText(member: NormalizedSchema, value: unknown): string {
  toText.write(member, value)
  return toText.flush()
}

function bodyOf(schema: NormalizedSchema, output: Members): Readable | string | undefined {
  if (typeof output.$xml === 'string') return output.$xml
  const payload = payloadOf(schema)
  if (payload) {
    const value = output[payload[0]]
    if (value === undefined || value instanceof Readable || typeof value === 'string') return value
    return toXml(payload[1], value)
  }
  const hasBodyMembers = [...schema.structIterator()].some(([, member]) => isInBody(member))
  return hasBodyMembers ? toXml(schema, output) : undefined
}

function isInBody(member: NormalizedSchema): boolean {
  const { httpHeader, httpPrefixHeaders } = member.getMergedTraits()
  return !httpHeader && !httpPrefixHeaders
}

function toXml(schema: NormalizedSchema, value: unknown): string {
  // The codec writes every member it is given; those bound to headers are not part of the document.
  const inBody = [...schema.structIterator()]
    .filter(([, member]) => isInBody(member))
    .map(([name]) => [name, (value as Members)[name]])
  const serializer = codec.createSerializer()
  serializer.write(schema, Object.fromEntries(inBody))
  return `<?xml version="1.0" encoding="UTF-8"?>\n${serializer.flush()}`
}

async function sendStream(body: Readable, response: ServerResponse): Promise<void> {
  try {
    await pipeline(body, response)
  } catch (error) {
    // A client that hangs up in the middle is no fault of ours.
    if (!response.destroyed) throw error
  }
}

export function escapeXml(text: string): string {
  const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (character) => named[character] ?? character)
}
