import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { NormalizedSchema } from '@smithy/core/schema'
import type { ServiceError } from '../http/service.ts'
import { type Members, payloadOf, toText, xmlCodec } from './schema.ts'

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
  const serializer = xmlCodec.createSerializer()
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

function escapeXml(text: string): string {
  const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return text.replace(/[&<>"]/g, (character) => named[character] ?? character)
}
