import type { Mistake } from './mistakes.ts'
import { readTable } from './table.ts'
import { table, text } from './values.ts'

/** Whom the stack's own alarms tell. */
export interface AlertConfig {
  topicArn: string
}

const alerts = table({
  // CloudWatch tells no FIFO topic.
  topic_arn: text('the ARN of an SNS topic').regex(
    /^arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]{1,256}$/,
    'is not the ARN of an SNS topic (and no FIFO one)',
  ),
})

export const ALERT_KEYS: readonly string[] = Object.keys(alerts.shape)

/** `[alerts]` of `fleets.toml`; nobody is told where there is none. */
export function readAlerts(content: unknown, mistakes: Mistake[]): AlertConfig | undefined {
  if (content === undefined) return undefined
  const read = readTable(content, { schema: alerts, rules: [], prefix: ['alerts'], keysAt: () => ALERT_KEYS })
  mistakes.push(...read.mistakes)
  return read.value && { topicArn: read.value.topic_arn }
}
