import {
  DeleteAlarms$,
  type DeleteAlarmsInput,
  DescribeAlarms$,
  type DescribeAlarmsInput,
  type MetricAlarm,
  PutMetricAlarm$,
  type PutMetricAlarmInput,
  SetAlarmState$,
  type SetAlarmStateInput,
} from '@aws-sdk/client-cloudwatch'
import { awsJsonService, operation } from '../http/aws-json.ts'
import { type Service, ServiceError } from '../http/service.ts'
import { JsonFolder } from '../json-folder.ts'

export interface AlarmsOptions {
  directory: string
  region: string
  account: string
}

/** What is kept of an alarm: as it was put, and the state that was set. */
interface StoredAlarm extends Partial<Omit<PutMetricAlarmInput, 'Tags'>> {
  AlarmName: string
  state: 'OK' | 'ALARM' | 'INSUFFICIENT_DATA'
  reason: string
  since: string
}

/** CloudWatch's alarms without its metrics: a state is what somebody sets with SetAlarmState, until it is set again. */
export interface Alarms {
  service: Service
  put(alarm: Pick<PutMetricAlarmInput, 'AlarmName' | 'AlarmDescription'>): void
}

const MOST_RECORDS = 100

export function openAlarms({ directory, region, account }: AlarmsOptions): Alarms {
  const alarms = new JsonFolder<StoredAlarm>(directory)

  const put = ({ Tags: _tags, ...given }: Partial<PutMetricAlarmInput>) => {
    const AlarmName = given.AlarmName ?? ''
    const initial = {
      state: 'INSUFFICIENT_DATA' as const,
      reason: 'Unchecked: Initial alarm creation',
      since: new Date().toISOString(),
    }
    const { state, reason, since } = alarms.get(AlarmName) ?? initial
    alarms.put(AlarmName, { ...given, AlarmName, state, reason, since })
  }
  const describe = ({ state, reason, since, ...alarm }: StoredAlarm): MetricAlarm => ({
    ...alarm,
    AlarmArn: `arn:aws:cloudwatch:${region}:${account}:alarm:${alarm.AlarmName}`,
    StateValue: state,
    StateReason: reason,
    StateUpdatedTimestamp: new Date(since),
  })
  const find = (name: string | undefined) => {
    const found = alarms.get(name ?? '')
    if (found) return found
    throw new ServiceError(404, 'ResourceNotFound', `Alarm ${name} does not exist`)
  }

  return {
    put,
    service: awsJsonService([
      operation(PutMetricAlarm$, async (input: PutMetricAlarmInput) => {
        put(input)
        return {}
      }),
      operation(SetAlarmState$, async ({ AlarmName, StateValue, StateReason = '' }: SetAlarmStateInput) => {
        const alarm = find(AlarmName)
        if (!StateValue) throw new ServiceError(400, 'ValidationError', 'StateValue is missing')
        const since = new Date().toISOString()
        alarms.put(alarm.AlarmName, { ...alarm, state: StateValue, reason: StateReason, since })
        return {}
      }),
      operation(DeleteAlarms$, async ({ AlarmNames = [] }: DeleteAlarmsInput) => {
        for (const name of AlarmNames) alarms.delete(name)
        return {}
      }),
      operation(DescribeAlarms$, async (input: DescribeAlarmsInput) => {
        const wanted = alarms
          .all()
          .sort((a, b) => a.AlarmName.localeCompare(b.AlarmName))
          .filter((alarm) => isWanted(alarm, input))
        const start = Number(input.NextToken ?? 0)
        const end = start + (input.MaxRecords ?? MOST_RECORDS)
        return {
          MetricAlarms: wanted.slice(start, end).map(describe),
          CompositeAlarms: [],
          ...(end < wanted.length && { NextToken: String(end) }),
        }
      }),
    ]),
  }
}

function isWanted({ AlarmName, state }: StoredAlarm, input: DescribeAlarmsInput): boolean {
  const { AlarmNames = [], AlarmNamePrefix = '', StateValue, AlarmTypes = [] } = input
  if (AlarmNames.length > 0 && !AlarmNames.includes(AlarmName)) return false
  if (AlarmTypes.length > 0 && !AlarmTypes.includes('MetricAlarm')) return false
  return AlarmName.startsWith(AlarmNamePrefix) && (!StateValue || StateValue === state)
}
