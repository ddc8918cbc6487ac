import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  EVENT_DETAIL_TYPE,
  EVENT_SOURCE,
  endEvent,
  ROLLOUT_STATUSES,
  rolloutEvent,
} from '../../lib/release/rollout-event.ts'
import { matchesPattern } from '../../local/events/event-pattern.ts'

const text = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8')
const rows = (head: string) => {
  const [, table = ''] = text.split(`| ${head} |`)
  const [body = ''] = table.split('\n\n')
  return [...body.matchAll(/^\| `([\w-]+)` \| (.+) \|$/gm)].map(([, name = '', what = '']) => [name, what])
}
const [pattern, event] = [...text.matchAll(/```json\n(.*?)```/gs)].map(([, json = '']) => JSON.parse(json))

describe('docs/events.md', () => {
  it('tells of each member of the schema, in its own words', () => {
    const members = Object.entries(rolloutEvent.shape).map(([name, { description }]) => [name, description])
    expect(rows('member | is')).toEqual(members)
  })

  it('tells which members are always there', () => {
    const always = Object.values(rolloutEvent.shape).map((member) => !member.safeParse(undefined).success)
    expect(always.lastIndexOf(true)).toBe(6)
    expect(always.indexOf(false)).toBe(7)
  })

  it('tells when each status is told', () => {
    expect(rows('status | when').map(([status]) => status)).toEqual(ROLLOUT_STATUSES)
  })

  it('shows an event as it comes, which its pattern matches', () => {
    expect(event).toMatchObject({ source: EVENT_SOURCE, 'detail-type': EVENT_DETAIL_TYPE })
    expect(rolloutEvent.parse(event.detail)).toEqual(event.detail)
    expect(matchesPattern(pattern, event)).toBe(true)
  })
})

describe('the end of a rollout that somebody cancelled', () => {
  const about = { version: 1, environment: 'staging', app: 'shop', rollout: 'r', action: 'deploy' } as const
  it.each([
    ['stopped', 'cancelled'],
    ['rolled-back', 'cancelled'],
    ['failed', 'failed'],
  ] as const)('%s is told as %s', (outcome, status) => {
    const told = endEvent({ ...about, requestedBy: 'ann' }, outcome, { isAsked: true })
    expect(told).toMatchObject({ status, outcome })
  })
})
