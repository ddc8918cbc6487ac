import type { IncomingHttpHeaders } from 'node:http'
import type { NormalizedSchema } from '@smithy/core/schema'
import type { SignedRequest } from '../http/service.ts'
import { invalidArgument, malformedXml } from './errors.ts'
import type { Address } from './operation.ts'
import { fromText, type Members, payloadOf, xmlCodec } from './schema.ts'

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
    return { member, value: xmlCodec.createDeserializer().read(of, text) ?? {} }
  } catch (error) {
    throw malformedXml(String(error))
  }
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
