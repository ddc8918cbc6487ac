import { randomUUID } from 'node:crypto'
import type { BusEvent } from '../../events/event-bus.ts'
import type { Execution } from './execution.ts'

/** What Lambda puts on the default event bus when an execution begins or ends. */
export function statusChangeEvent(execution: Execution): BusEvent {
  const { arn, name, functionArn, status, startTimestamp, endTimestamp } = execution
  const [, , , region = '', account = ''] = arn.split(':')
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Durable Execution Status Change',
    source: 'aws.lambda',
    account,
    time: (endTimestamp ?? startTimestamp).toISOString(),
    region,
    resources: [arn],
    detail: {
      durableExecutionArn: arn,
      durableExecutionName: name,
      functionArn,
      status,
      startTimestamp: startTimestamp.toISOString(),
      ...(endTimestamp && { endTimestamp: endTimestamp.toISOString() }),
    },
  }
}
