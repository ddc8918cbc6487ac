import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCredentialStore } from '../../local/credentials.ts'
import { createEventBus } from '../../local/events/event-bus.ts'
import { eventsService } from '../../local/events/put-events.ts'
import { type Endpoint, startEndpoint } from '../../local/http/endpoint.ts'

const PLACE = { region: 'eu-west-1', account: '123456789012' }
const directory = mkdtempSync(join(tmpdir(), 'events-'))
const invoked: unknown[] = []
let endpoint: Endpoint
let client: EventBridgeClient

beforeAll(async () => {
  const credentials = openCredentialStore(directory)
  const rule = { name: 'r', arn: 'arn:r', pattern: { source: ['shop'] }, targets: [{ functionArn: 'arn:f' }] }
  const invoke = (_arn: string, event: unknown) => invoked.push(event)
  const bus = createEventBus({ ...PLACE, rules: [rule], invoke })
  const services = { events: eventsService(PLACE, bus.put) }
  endpoint = await startEndpoint({ port: 0, credentials, services })
  const access = { endpoint: endpoint.url, credentials: credentials.issue('user/test') }
  client = new EventBridgeClient({ ...access, region: PLACE.region })
})
afterAll(async () => {
  await endpoint.close()
  rmSync(directory, { recursive: true })
})

test('an event that is put comes to the targets of the rules that match it', async () => {
  const time = { Time: new Date('2026-01-01T00:00:00Z') }
  const entry = (Source: string, Detail: string) => ({ Source, DetailType: 'Sold', Detail, ...time })
  const Entries = [entry('shop', '{"of":1}'), entry('other', '{}'), entry('shop', '1'), entry('aws.s3', '{}')]
  const answer = await client.send(new PutEventsCommand({ Entries }))
  expect(answer.FailedEntryCount).toBe(2)
  expect(answer.Entries?.map(({ ErrorCode }) => ErrorCode)).toEqual([
    undefined,
    undefined,
    'MalformedDetail',
    'NotAuthorizedForSourceException',
  ])
  expect(invoked).toEqual([
    {
      version: '0',
      id: answer.Entries?.[0]?.EventId,
      'detail-type': 'Sold',
      source: 'shop',
      ...PLACE,
      time: '2026-01-01T00:00:00Z',
      resources: [],
      detail: { of: 1 },
    },
  ])
})
