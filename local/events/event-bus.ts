import { randomUUID } from 'node:crypto'
import { checkPattern, type EventPattern, matchesPattern } from './event-pattern.ts'
import { intervalMs } from './schedule.ts'

/** An event as EventBridge delivers it. */
export interface BusEvent {
  version: string
  id: string
  'detail-type': string
  source: string
  account: string
  time: string
  region: string
  resources: string[]
  detail: Record<string, unknown>
}

/** A rule of the template: an event pattern or a schedule, and whom it calls. */
export interface EventRule {
  name: string
  arn: string
  pattern?: EventPattern
  schedule?: string
  targets: RuleTarget[]
}

export interface RuleTarget {
  functionArn: string
  /** What is sent in place of the event: JSON text. */
  input?: string
}

export interface EventBusOptions {
  region: string
  account: string
  rules: readonly EventRule[]
  invoke: (functionArn: string, payload: unknown) => void
}

/** The default event bus: hands events to the targets of the rules that they match, and keeps schedules. */
export interface EventBus {
  put(event: BusEvent): void
  startSchedules(): void
  close(): void
}

export function createEventBus({ region, account, rules, invoke }: EventBusOptions): EventBus {
  const timers: NodeJS.Timeout[] = []
  for (const { name, pattern } of rules) if (pattern) checkPattern(pattern, name)

  const send = ({ targets }: EventRule, event: BusEvent) => {
    for (const { functionArn, input } of targets) {
      invoke(functionArn, input === undefined ? event : JSON.parse(input))
    }
  }
  const scheduledEvent = ({ arn }: EventRule): BusEvent => ({
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account,
    time: new Date().toISOString().replace(/\.\d+/, ''),
    region,
    resources: [arn],
    detail: {},
  })

  return {
    put(event) {
      for (const rule of rules) {
        if (rule.pattern && matchesPattern(rule.pattern, event)) send(rule, event)
      }
    },
    startSchedules() {
      for (const rule of rules) {
        if (!rule.schedule) continue
        timers.push(setInterval(() => send(rule, scheduledEvent(rule)), intervalMs(rule.schedule)))
      }
    },
    close() {
      for (const timer of timers) clearInterval(timer)
    },
  }
}
