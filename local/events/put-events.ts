import { randomUUID } from 'node:crypto'
import {
  PutEvents$,
  type PutEventsRequest,
  type PutEventsRequestEntry,
  type PutEventsResultEntry,
} from '@aws-sdk/client-eventbridge'
import { awsJsonService, operation } from '../http/aws-json.ts'
import { type Service, ServiceError } from '../http/service.ts'
import type { BusEvent } from './event-bus.ts'

const MOST_ENTRIES = 10
const LARGEST_ENTRY = 1024 * 1024

interface Place {
  region: string
  account: string
}

/** EventBridge, as far as it takes events: what is put goes onto the default bus. */
export function eventsService(place: Place, put: (event: BusEvent) => void): Service {
  return awsJsonService([
    operation(PutEvents$, async ({ Entries = [] }: PutEventsRequest) => {
      if (Entries.length < 1 || Entries.length > MOST_ENTRIES) {
        throw new ServiceError(400, 'ValidationException', `1 to ${MOST_ENTRIES} entries can be put.`)
      }
      const results = Entries.map((entry) => putEntry(entry, place, put))
      return { Entries: results, FailedEntryCount: results.filter(({ ErrorCode }) => ErrorCode).length }
    }),
  ])
}

function putEntry(
  entry: PutEventsRequestEntry,
  place: Place,
  put: (event: BusEvent) => void,
): PutEventsResultEntry {
  const { Source = '', DetailType = '', Detail = '', Time = new Date(), Resources = [] } = entry
  if (!Source || !DetailType || !Detail) return refuse('InvalidArgument', 'A mandatory parameter is missing.')
  if (Source.startsWith('aws.')) return refuse('NotAuthorizedForSourceException', `Not authorized: ${Source}`)
  if (Buffer.byteLength(Source + DetailType + Detail) > LARGEST_ENTRY) {
    return refuse('InvalidArgument', 'The entry is too large.')
  }
  const detail = parseObject(Detail)
  if (!detail) return refuse('MalformedDetail', 'Detail is malformed.')
  const id = randomUUID()
  put({
    version: '0',
    id,
    'detail-type': DetailType,
    source: Source,
    ...place,
    time: Time.toISOString().replace(/\.\d+/, ''),
    resources: Resources,
    detail,
  })
  return { EventId: id }
}

const refuse = (ErrorCode: string, ErrorMessage: string) => ({ ErrorCode, ErrorMessage })

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}
