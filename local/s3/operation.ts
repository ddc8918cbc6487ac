import * as sdk from '@aws-sdk/client-s3'
import { NormalizedSchema } from '@smithy/core/schema'
import { ServiceError, type SignedRequest } from '../http/service.ts'

type OperationSchema = typeof sdk.PutObject$

/** An operation of S3 as the SDK's own model describes it. */
export interface Operation {
  name: string
  input: NormalizedSchema
  output: NormalizedSchema
  status: number
  /** The checksum in the request's headers is that of its body. */
  hasBodyChecksum: boolean
}

export interface Address {
  bucket: string
  key: string
}

interface Route extends Operation {
  method: string
  target: 'service' | 'bucket' | 'key'
  /** Query parameters that name the operation, such as `uploads`. */
  literals: [string, string][]
  /** What its input cannot be without. */
  requiredQuery: string[]
  requiredHeaders: string[]
}

/** The most specific operation whose fixed and required parts the request has. */
export function matchOperation(request: SignedRequest, { bucket, key }: Address): Operation {
  const target = key ? 'key' : bucket ? 'bucket' : 'service'
  const route = ROUTES.find(
    (candidate) =>
      candidate.target === target && candidate.method === request.method && hasParts(candidate, request),
  )
  if (route) return route
  throw new ServiceError(
    405,
    'MethodNotAllowed',
    'The specified method is not allowed against this resource.',
    {
      Method: request.method,
    },
  )
}

/** Path style: `/<bucket>/<key>`. */
export function readAddress(path: string): Address {
  const slash = path.indexOf('/', 1)
  const [bucket, key] = slash < 0 ? [path.slice(1), ''] : [path.slice(1, slash), path.slice(slash + 1)]
  try {
    return { bucket: decodeURIComponent(bucket), key: decodeURIComponent(key) }
  } catch {
    throw new ServiceError(400, 'InvalidURI', "Couldn't parse the specified URI.")
  }
}

function hasParts(route: Route, { url, headers }: SignedRequest): boolean {
  const query = url.searchParams
  return (
    route.literals.every(([name, value]) => query.has(name) && (!value || query.get(name) === value)) &&
    route.requiredQuery.every((name) => query.has(name)) &&
    route.requiredHeaders.every((name) => name in headers)
  )
}

function readRoute(schema: OperationSchema): Route {
  const [, , name, , inputRef, outputRef] = schema
  const { http, httpChecksum } = NormalizedSchema.of(schema).getMergedTraits()
  const [method = '', uri = '', status = 200] = (http ?? []) as [string?, string?, number?]
  const [path, search = ''] = uri.split('?')
  const input = NormalizedSchema.of(inputRef)
  const required = requiredMembers(input)
  const isOfService = name === 'ListBuckets' || name === 'ListDirectoryBuckets'
  return {
    name,
    method,
    status,
    input,
    output: NormalizedSchema.of(outputRef),
    hasBodyChecksum: httpChecksum !== undefined,
    target: isOfService ? 'service' : path === '/' ? 'bucket' : 'key',
    // `x-id` only tells the SDK's operations apart in logs: other clients do not send it.
    literals: [...new URLSearchParams(search)].filter(([key]) => key !== 'x-id'),
    requiredQuery: required.flatMap((traits) => traits.httpQuery ?? []),
    requiredHeaders: required.flatMap((traits) => traits.httpHeader?.toLowerCase() ?? []),
  }
}

/** A structure's required members stand first; the schema's last element says how many they are. */
function requiredMembers(input: NormalizedSchema) {
  if (!input.isStructSchema()) return []
  const count = (input.getSchema() as typeof sdk.PutObjectRequest$)[6] ?? 0
  return [...input.structIterator()].slice(0, count).map(([, member]) => member.getMergedTraits())
}

const specificity = (route: Route) =>
  route.literals.length + route.requiredQuery.length + route.requiredHeaders.length

function isOperation(value: unknown): value is OperationSchema {
  return Array.isArray(value) && value[0] === 9
}

const ROUTES = Object.values(sdk)
  .filter(isOperation)
  .map(readRoute)
  .sort((a, b) => specificity(b) - specificity(a))
