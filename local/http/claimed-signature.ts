import type { IncomingMessage } from 'node:http'
import { ServiceError } from './service.ts'

/** What a request says about its own signature: nothing in it is verified yet. */
export interface ClaimedSignature {
  presigned: boolean
  accessKeyId: string
  /** `<date>/<region>/<service>/aws4_request` */
  scope: string
  region: string
  service: string
  date: Date
  expiresSeconds?: number
  sessionToken: string | undefined
  signedHeaders: Set<string>
  signature: string
  url: URL
  path: string
  query: Record<string, string | string[]>
}

const ALGORITHM = 'AWS4-HMAC-SHA256'

/** The service that the request is for, before anything is verified: decides how a refusal is worded. */
export function claimedService(raw: IncomingMessage): string | undefined {
  const url = requestUrl(raw)
  const credential =
    url.searchParams.get('X-Amz-Credential') ??
    /Credential=([^,\s]+)/.exec(raw.headers.authorization ?? '')?.[1]
  return credential?.split('/').at(-2)
}

export function readClaimedSignature(raw: IncomingMessage): ClaimedSignature {
  const url = requestUrl(raw)
  const query = groupQuery(url.searchParams)
  const target = { url, query, path: (raw.url ?? '/').replace(/[?#].*$/, '') || '/' }
  if (url.searchParams.has('X-Amz-Signature') && raw.headers.authorization) {
    throw new ServiceError(400, 'InvalidArgument', 'Only one auth mechanism allowed')
  }
  if (url.searchParams.has('X-Amz-Signature')) return { ...presignedClaim(url.searchParams, raw), ...target }
  if (raw.headers.authorization) return { ...headerClaim(raw, raw.headers.authorization), ...target }
  // What some clients still presign with where nothing tells them otherwise.
  if (url.searchParams.has('AWSAccessKeyId')) throw oldMechanism()
  throw new ServiceError(403, 'AccessDenied', 'Access Denied: the request is not signed.')
}

type Claim = Omit<ClaimedSignature, 'url' | 'query' | 'path'>

function headerClaim(raw: IncomingMessage, authorization: string): Claim {
  const fields = new Map(
    authorization
      .slice(authorization.indexOf(' ') + 1)
      .split(',')
      .map((field) => field.trim().split(/=(.*)/s, 2) as [string, string]),
  )
  if (!authorization.startsWith(`${ALGORITHM} `)) throw oldMechanism()
  return {
    presigned: false,
    ...readScope(fields.get('Credential'), headerText(raw, 'x-amz-date')),
    sessionToken: headerText(raw, 'x-amz-security-token'),
    signedHeaders: headerNames(fields.get('SignedHeaders')),
    signature: fields.get('Signature') ?? '',
  }
}

const oldMechanism = () =>
  new ServiceError(
    400,
    'InvalidRequest',
    `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
  )

function presignedClaim(query: URLSearchParams, raw: IncomingMessage): Claim {
  if (query.get('X-Amz-Algorithm') !== ALGORITHM) {
    throw new ServiceError(
      400,
      'AuthorizationQueryParametersError',
      `X-Amz-Algorithm only supports "${ALGORITHM}"`,
    )
  }
  return {
    presigned: true,
    ...readScope(query.get('X-Amz-Credential') ?? undefined, query.get('X-Amz-Date') ?? undefined),
    expiresSeconds: Number(query.get('X-Amz-Expires')),
    sessionToken: query.get('X-Amz-Security-Token') ?? headerText(raw, 'x-amz-security-token'),
    signedHeaders: headerNames(query.get('X-Amz-SignedHeaders') ?? undefined),
    signature: query.get('X-Amz-Signature') ?? '',
  }
}

function readScope(credential = '', time = '') {
  const [accessKeyId, day, region, service, terminator, ...rest] = credential.split('/')
  const date = readTime(time)
  const isWhole =
    accessKeyId && day && region && service && terminator === 'aws4_request' && rest.length === 0
  if (!isWhole || !date || !time.startsWith(day)) {
    throw new ServiceError(
      400,
      'AuthorizationHeaderMalformed',
      'The request needs X-Amz-Date and a credential "<key>/<that day>/<region>/<service>/aws4_request".',
    )
  }
  return { accessKeyId, region, service, date, scope: `${day}/${region}/${service}/${terminator}` }
}

function readTime(time: string): Date | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time)
  if (!parts) return undefined
  const [, year, month, day, hour, minute, second] = parts
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(date.getTime()) ? undefined : date
}

const headerNames = (list = '') => new Set(list.toLowerCase().split(';').filter(Boolean))

function headerText(raw: IncomingMessage, name: string): string | undefined {
  const value = raw.headers[name]
  return Array.isArray(value) ? value.join(',') : value
}

function requestUrl(raw: IncomingMessage): URL {
  try {
    return new URL(`http://${raw.headers.host ?? 'localhost'}${raw.url ?? '/'}`)
  } catch (cause) {
    throw new ServiceError(400, 'InvalidURI', `Couldn't parse the specified URI. ${cause}`)
  }
}

function groupQuery(parameters: URLSearchParams): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {}
  for (const name of new Set(parameters.keys())) {
    const values = parameters.getAll(name)
    query[name] = values.length > 1 ? values : (values[0] ?? '')
  }
  return query
}
