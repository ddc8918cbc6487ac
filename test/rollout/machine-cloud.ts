import { join } from 'node:path'
import { CloudWatchClient, PutMetricAlarmCommand, SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch'
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { eventsClient } from '../../lambda/events-client.ts'
import { askingClient, sendingClient } from '../../lambda/ssm-clients.ts'
import { s3Client } from '../../lib/aws/clients.ts'
import { objectStore } from '../../lib/aws/object-store.ts'
import { rolloutEvents } from '../../lib/aws/rollout-events.ts'
import type { FleetPolicy } from '../../lib/release/fleet.ts'
import { openCredentialStore } from '../../local/credentials.ts'
import type { BusEvent } from '../../local/events/event-bus.ts'
import { eventsService } from '../../local/events/put-events.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { type Service, ServiceError } from '../../local/http/service.ts'
import { openAlarms } from '../../local/monitoring/alarms.ts'
import { createS3Service } from '../../local/s3/service.ts'
import { loseAnswer } from './lose-answer.ts'
import { BUCKET, POLICY, REGION } from './machine-settings.ts'
import type { Fault } from './simulated-fleet.ts'

interface CloudOptions {
  directory: string
  policy: Partial<FleetPolicy>
  /** Run Command with its fleet. */
  ssm: Service
}

/** S3 and Run Command over HTTP, each with its faults, and who may call them: the process that lives. */
export async function openMachineCloud({ directory, policy, ssm }: CloudOptions) {
  const credentials = openCredentialStore(directory)
  const s3 = createS3Service({ directory, region: REGION })
  await s3.createBucket(BUCKET, { versioned: true })
  let s3Fault: (method: string, path: string) => Fault = () => undefined

  // Of a process that was killed nothing arrives any more; what had arrived is done.
  let generation = 1
  const alive = () => `user/machine-${generation}`
  const arrived = new Set<Promise<void>>()
  const gated =
    (service: Service): Service =>
    async (request, response) => {
      response.setHeader('date', new Date().toUTCString())
      if (request.principal.startsWith('user/machine-') && request.principal !== alive()) {
        return new Promise(() => {})
      }
      const work = service(request, response)
      arrived.add(work)
      await work.finally(() => arrived.delete(work))
    }
  const faultyS3: Service = async (request, response) => {
    const fault = s3Fault(request.method, request.path)
    if (fault === 'throttled') throw new ServiceError(503, 'SlowDown', 'Please reduce your request rate.')
    if (fault === 'answer lost') loseAnswer(response)
    await s3(request, response)
  }
  const busEvents: BusEvent[] = []
  let eventFault: () => Fault = () => undefined
  const bus = eventsService({ region: REGION, account: '123456789012' }, (event) => busEvents.push(event))
  const faultyBus: Service = async (request, response) => {
    const fault = eventFault()
    if (fault === 'throttled') throw new ServiceError(400, 'ThrottlingException', 'Rate exceeded')
    if (fault === 'answer lost') loseAnswer(response)
    await bus(request, response)
  }
  const alarms = openAlarms({ directory: join(directory, 'alarms'), region: REGION, account: '123456789012' })
  let alarmFault: () => Fault = () => undefined
  const faultyAlarms: Service = async (request, response) => {
    if (alarmFault() === 'throttled') throw new ServiceError(400, 'ThrottlingException', 'Rate exceeded')
    await alarms.service(request, response)
  }
  const endpoint = await startEndpoint({
    port: 0,
    credentials,
    services: {
      s3: Object.assign(gated(faultyS3), { refuse: s3.refuse }),
      ssm: gated(ssm),
      events: gated(faultyBus),
      monitoring: gated(faultyAlarms),
    },
  })

  const before = { ...process.env }
  const enter = (principal: string) => {
    const { accessKeyId, secretAccessKey } = credentials.issue(principal)
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: endpoint.url,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      BUCKET,
      PYBUNDLE_FLEETS: JSON.stringify([{ ...POLICY, ...policy }]),
    })
  }
  enter('user/test')
  const others = {
    s3: s3Client(),
    ssm: askingClient(),
    sender: sendingClient(),
    events: eventsClient(),
    alarms: new CloudWatchClient(),
  }
  // Who they are, they ask the environment at their first call otherwise.
  for (const client of Object.values(others)) await client.config.credentials()
  enter(alive())

  return {
    store: objectStore(others.s3, BUCKET),
    /** Of another process, which lives on when the rollout's is killed. */
    ssm: { asking: others.ssm, sending: others.sender },
    events: rolloutEvents(others.events, () => {}),
    /** As somebody sets it; one that there was not before is put first. */
    async setAlarm(AlarmName: string, StateValue: 'OK' | 'ALARM', StateReason = 'Threshold Crossed') {
      const settings = { EvaluationPeriods: 1, ComparisonOperator: 'GreaterThanThreshold' as const }
      await others.alarms.send(new PutMetricAlarmCommand({ AlarmName, ...settings }))
      await others.alarms.send(new SetAlarmStateCommand({ AlarmName, StateValue, StateReason }))
    },
    onAlarms(decide: typeof alarmFault) {
      alarmFault = decide
    },
    /** What was put on the bus. */
    busEvents,
    onEvents(decide: typeof eventFault) {
      eventFault = decide
    },
    async put(key: string, body: Uint8Array) {
      await others.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }))
    },
    /** The newest version becomes an older one, unless one is named. */
    async expire(key: string, VersionId?: string) {
      await others.s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key, VersionId }))
    },
    /** The process that lived is gone, and another one begins once all that had arrived is done. */
    killCaller() {
      generation++
    },
    async admitNextCaller() {
      await Promise.allSettled([...arrived])
      enter(alive())
    },
    onS3(decide: typeof s3Fault) {
      s3Fault = decide
    },
    currentPolicy: (): FleetPolicy => ({ ...POLICY, ...policy }),
    policy(change: Partial<FleetPolicy>) {
      policy = { ...policy, ...change }
      enter(alive())
    },
    async close() {
      await endpoint.close()
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
      Object.assign(process.env, before)
    },
  }
}

export type MachineCloud = Awaited<ReturnType<typeof openMachineCloud>>
