import { type CloudWatchClient, paginateDescribeAlarms } from '@aws-sdk/client-cloudwatch'
import type { Alarm } from '../release/alarms.ts'

const NAMES_PER_CALL = 100

/** How these alarms stand; one that there is none of is not among them. */
export async function readAlarms(client: CloudWatchClient, names: readonly string[]): Promise<Alarm[]> {
  const alarms: Alarm[] = []
  // Without any name CloudWatch tells of all there are.
  for (let start = 0; start < names.length; start += NAMES_PER_CALL) {
    const pages = paginateDescribeAlarms(
      { client, pageSize: NAMES_PER_CALL },
      // Composite ones are left out where they are not asked for.
      {
        AlarmNames: names.slice(start, start + NAMES_PER_CALL),
        AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
      },
    )
    for await (const { MetricAlarms = [], CompositeAlarms = [] } of pages) {
      for (const { AlarmName = '', StateValue, StateReason = '' } of [...MetricAlarms, ...CompositeAlarms])
        alarms.push({ name: AlarmName, isRinging: StateValue === 'ALARM', reason: StateReason })
    }
  }
  return alarms
}
