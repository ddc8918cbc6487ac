import { describe, expect, test, vi } from 'vitest'
import { type BusEvent, createEventBus, type EventRule } from '../../local/events/event-bus.ts'
import { checkPattern, type EventPattern, matchesPattern } from '../../local/events/event-pattern.ts'
import { intervalMs } from '../../local/events/schedule.ts'
import { interestedFunctions, storageEvent } from '../../local/events/storage-notifications.ts'
import type { ObjectCreated } from '../../local/s3/service.ts'

const EVENT: BusEvent = {
  version: '0',
  id: '1',
  'detail-type': 'Durable Execution Status Change',
  source: 'aws.lambda',
  account: '123456789012',
  time: '2026-01-01T00:00:00Z',
  region: 'us-east-1',
  resources: ['arn:one', 'arn:two'],
  detail: { status: 'FAILED', functionArn: 'arn:aws:lambda:us-east-1:1:function:rollout:7', count: 2 },
}

describe('an event pattern', () => {
  test.each<[EventPattern, boolean]>([
    [{ source: ['aws.lambda'] }, true],
    [{ source: ['aws.s3', 'aws.lambda'] }, true],
    [{ source: ['aws.s3'] }, false],
    [{ source: ['aws.lambda'], detail: { status: ['SUCCEEDED', 'FAILED'] } }, true],
    [{ source: ['aws.lambda'], detail: { status: ['RUNNING'] } }, false],
    [{ detail: { functionArn: [{ prefix: 'arn:aws:lambda:us-east-1:1:function:rollout' }] } }, true],
    [{ detail: { functionArn: [{ prefix: 'arn:aws:lambda:us-east-1:1:function:other' }] } }, false],
    [{ detail: { functionArn: [{ suffix: ':7' }] } }, true],
    [{ detail: { status: [{ 'anything-but': ['RUNNING', 'SUCCEEDED'] }] } }, true],
    [{ detail: { status: [{ 'anything-but': 'FAILED' }] } }, false],
    [{ detail: { status: [{ 'equals-ignore-case': 'failed' }] } }, true],
    [{ detail: { reason: [{ exists: false }] } }, true],
    [{ detail: { status: [{ exists: false }] } }, false],
    [{ detail: { count: [2] } }, true],
    [{ resources: ['arn:two'] }, true],
    [{ nothing: { like: ['this'] } }, false],
  ])('%j matches: %s', (pattern, expected) => {
    expect(matchesPattern(pattern, EVENT)).toBe(expected)
  })

  test('with an unknown condition is refused with its path', () => {
    expect(() => checkPattern({ detail: { size: [{ numeric: ['>', 1] }] } }, 'MyRule')).toThrow(
      'MyRule.detail.size: the local cloud does not know the condition "numeric"',
    )
  })
})

describe('a schedule', () => {
  test.each([
    ['rate(1 minute)', 60_000],
    ['rate(5 minutes)', 300_000],
    ['rate(2 hours)', 7_200_000],
  ])('%s is every %i milliseconds', (expression, expected) => {
    expect(intervalMs(expression)).toBe(expected)
  })

  test('of another kind is refused', () => {
    expect(() => intervalMs('cron(0 12 * * ? *)')).toThrow('only rate(')
  })
})

describe('the event bus', () => {
  const rule = (more: Partial<EventRule>): EventRule => ({
    name: 'rule',
    arn: 'arn:rule',
    targets: [{ functionArn: 'arn:function' }],
    ...more,
  })
  const busOf = (rules: EventRule[]) => {
    const invoke = vi.fn()
    return { invoke, bus: createEventBus({ region: 'us-east-1', account: '123456789012', rules, invoke }) }
  }

  test('hands an event to the targets of matching rules only', () => {
    const { bus, invoke } = busOf([
      rule({ pattern: { source: ['aws.lambda'] } }),
      rule({ pattern: { source: ['aws.s3'] } }),
    ])
    bus.put(EVENT)
    expect(invoke.mock.calls).toEqual([['arn:function', EVENT]])
  })

  test('sends the input of the target in place of the event', () => {
    const targets = [{ functionArn: 'arn:function', input: '{"look":"again"}' }]
    const { bus, invoke } = busOf([rule({ pattern: { source: ['aws.lambda'] }, targets })])
    bus.put(EVENT)
    expect(invoke.mock.calls).toEqual([['arn:function', { look: 'again' }]])
  })

  test('sends scheduled events until it is closed', () => {
    vi.useFakeTimers()
    const { bus, invoke } = busOf([rule({ schedule: 'rate(5 minutes)' })])
    bus.startSchedules()
    vi.advanceTimersByTime(10 * 60_000)
    bus.close()
    vi.advanceTimersByTime(10 * 60_000)
    vi.useRealTimers()
    expect(invoke).toHaveBeenCalledTimes(2)
    expect(invoke.mock.calls[0]?.[1]).toMatchObject({
      'detail-type': 'Scheduled Event',
      resources: ['arn:rule'],
    })
  })
})

const CREATED: ObjectCreated = {
  bucket: 'b',
  key: 'staging/app/code/my app+ä.tar.gz',
  versionId: 'v1',
  size: 3,
  eTag: 'abc',
  sequencer: '0A',
  eventName: 'ObjectCreated:Put',
  time: new Date('2026-01-01T00:00:00Z'),
}

describe('a storage notification', () => {
  const filter = { bucket: 'b', events: ['s3:ObjectCreated:*'], prefix: '', suffix: '', functionArn: 'f' }

  test.each([
    [{}, true],
    [{ bucket: 'other' }, false],
    [{ suffix: '.tar.gz' }, true],
    [{ suffix: '.zip' }, false],
    [{ prefix: 'staging/' }, true],
    [{ prefix: 'production/' }, false],
    [{ events: ['s3:ObjectCreated:Put'] }, true],
    [{ events: ['s3:ObjectCreated:Copy'] }, false],
  ])('with the filter %j is sent: %s', (more, isSent) => {
    expect(interestedFunctions([{ ...filter, ...more }], CREATED)).toEqual(isSent ? ['f'] : [])
  })

  test('carries the key as HTML forms do, the version and the sequencer', () => {
    const [record] = storageEvent(CREATED, 'us-east-1').Records
    expect(record).toMatchObject({ eventSource: 'aws:s3', eventName: 'ObjectCreated:Put' })
    expect(record?.s3).toMatchObject({ bucket: { name: 'b', arn: 'arn:aws:s3:::b' } })
    expect(record?.s3.object).toEqual({
      key: 'staging/app/code/my+app%2B%C3%A4.tar.gz',
      size: 3,
      eTag: 'abc',
      versionId: 'v1',
      sequencer: '0A',
    })
  })
})
