import { join, resolve } from 'node:path'
import { type CredentialStore, openCredentialStore } from './credentials.ts'
import { createEventBus } from './events/event-bus.ts'
import { eventsService } from './events/put-events.ts'
import { interestedFunctions, storageEvent } from './events/storage-notifications.ts'
import { type CloudTarget, type FleetScope, Fleets } from './fleets.ts'
import { type ObservedCall, startEndpoint } from './http/endpoint.ts'
import { openLambda } from './lambda/lambda.ts'
import { openAlarms } from './monitoring/alarms.ts'
import { openProcessRecord } from './process-record.ts'
import { openQueues } from './queues/queues.ts'
import { createS3Service, type ObjectCreated } from './s3/service.ts'
import { writeShellExports } from './shell-exports.ts'
import { openSsm } from './ssm/ssm.ts'
import { startMember } from './start-member.ts'
import { takeOver } from './takeover.ts'
import type { SandboxChoice } from './targets/sandbox.ts'
import { readAssembly } from './template/assembly.ts'
import { hasFleet } from './template/fleet-settings.ts'
import { type LocalStack, readStack } from './template/local-stack.ts'

export type { CloudTarget, FleetScope } from './fleets.ts'

export interface CloudOptions {
  /** The synthesized stack: `cdk.out`. */
  assembly: string
  /** Of all state; what is found there is served again. */
  directory: string
  /** 0 lets the system choose a free one. */
  port: number
  /** Begins with nothing. */
  reset?: boolean
  say?: (line: string) => void
  /** How targets are kept apart; bubblewrap where it works otherwise. */
  sandbox?: SandboxChoice
  /** When, how often and in which order events reach functions: at once and once, unless a test wants it otherwise. */
  deliver?: Deliver
  /** Sees each call of an AWS service. */
  onCall?: ((call: ObservedCall) => void) | undefined
}

export type Deliver = (send: () => void) => void

/** AWS on this machine, booted from the template. */
export interface Cloud {
  url: string
  /** What points any AWS client at it; also in `<directory>/env`, for a shell. */
  env: Record<string, string>
  outputs: Record<string, string>
  bucket: string
  /** Brings a fleet to at least this many targets, those of before first; all of its targets. */
  startFleet(fleet: FleetScope & { count: number }): Promise<CloudTarget[]>
  addTarget(fleet: FleetScope): Promise<CloudTarget>
  targets(): readonly CloudTarget[]
  stop(): Promise<void>
}

const DAY = 86_400_000
const PLACE = { region: 'us-east-1', account: '123456789012' }

export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { assembly, port, reset = false, say = () => {}, sandbox = 'auto' } = options
  const deliver = options.deliver ?? ((send) => send())
  const directory = resolve(options.directory)
  const stack = readStack(readAssembly(assembly), PLACE)
  const giveBack = await takeOver(directory, { port, reset, say })
  const credentials = openCredentialStore(directory)
  let url = ''
  const { s3, lambda, ssm, bus, alarms, queues, fleets } = openParts({
    stack,
    directory,
    credentials,
    sandbox,
    deliver,
    endpointUrl: () => url,
  })
  for (const { name, isVersioned, lifecycle } of stack.buckets)
    await s3.createBucket(name, { versioned: isVersioned, lifecycle })
  s3.applyLifecycle(new Date())
  const daily = setInterval(() => s3.applyLifecycle(new Date()), DAY).unref()

  const events = eventsService(PLACE, bus.put)
  const services = {
    s3,
    lambda: lambda.service,
    events,
    monitoring: alarms.service,
    sqs: queues.service,
    ...ssm.services,
  }
  const endpoint = await startEndpoint({ port, credentials, services, onCall: options.onCall }).catch(
    (error) => {
      giveBack()
      throw error
    },
  )
  url = endpoint.url
  const stop = async () => {
    clearInterval(daily)
    bus.close()
    await Promise.all([fleets.stop(), lambda.close()])
    ssm.close()
    await endpoint.close()
    giveBack()
  }
  // A rollout that goes on is to find its targets, as they would be there on AWS.
  await fleets
    .resume((scope) => hasFleet(stack, scope))
    .catch(async (error) => {
      await stop()
      throw error
    })
  lambda.resume()
  bus.startSchedules()

  const bucket = stack.buckets[0]?.name ?? ''
  const env = clientEnvironment(url, bucket, credentials)
  writeShellExports(join(directory, 'env'), env)
  return {
    url,
    env,
    outputs: stack.outputs,
    bucket,
    startFleet: ({ count, ...scope }) => fleets.start(scope, count),
    addTarget: (scope) => fleets.add(scope),
    targets: () => fleets.running(),
    stop,
  }
}

interface PartsOptions {
  stack: LocalStack
  directory: string
  credentials: CredentialStore
  sandbox: SandboxChoice
  deliver: Deliver
  endpointUrl: () => string
}

function openParts({ stack, directory, credentials, sandbox, deliver, endpointUrl }: PartsOptions) {
  const processes = openProcessRecord(join(directory, 'processes'))
  const ssm = openSsm({ ...PLACE, directory: join(directory, 'ssm'), endpointUrl })
  for (const document of stack.documents) ssm.putDocument(document)
  for (const association of stack.associations) ssm.putAssociation(toAssociation(association))

  const bus = createEventBus({
    ...PLACE,
    rules: stack.rules,
    invoke: (functionArn, payload) => deliver(() => lambda.invokeLater(functionArn, payload)),
  })
  const queues = openQueues({
    ...PLACE,
    directory: join(directory, 'queues'),
    endpointUrl,
    queues: stack.queues,
  })
  const lambda = openLambda({
    ...PLACE,
    directory: join(directory, 'lambda'),
    functions: stack.functions,
    aliases: stack.aliases,
    credentials,
    processes,
    endpointUrl,
    putEvent: bus.put,
    asyncConfigs: stack.asyncConfigs,
    sendToQueue: queues.send,
  })
  const notify = (created: ObjectCreated) => {
    for (const functionArn of interestedFunctions(stack.notifications, created)) {
      deliver(() => lambda.invokeLater(functionArn, storageEvent(created, PLACE.region)))
    }
  }
  const s3 = createS3Service({ ...PLACE, directory: join(directory, 's3'), onObjectCreated: notify })
  const alarms = openAlarms({ ...PLACE, directory: join(directory, 'alarms') })
  for (const alarm of stack.alarms) alarms.put(alarm)
  const fleets = new Fleets(join(directory, 'fleets.json'), (member) =>
    startMember(member, {
      stack,
      directory,
      region: PLACE.region,
      endpointUrl: endpointUrl(),
      credentials,
      processes,
      ssm,
      sandbox,
    }),
  )
  return { s3, lambda, ssm, bus, alarms, queues, fleets }
}

function toAssociation(given: LocalStack['associations'][number]) {
  return {
    documentName: given.Name,
    documentVersion: given.DocumentVersion,
    associationName: given.AssociationName,
    parameters: given.Parameters,
    targets: given.Targets,
    scheduleExpression: given.ScheduleExpression,
  }
}

function clientEnvironment(url: string, bucket: string, credentials: CredentialStore) {
  const { accessKeyId, secretAccessKey } = credentials.issue('user/operator')
  return {
    AWS_ENDPOINT_URL: url,
    AWS_REGION: PLACE.region,
    AWS_DEFAULT_REGION: PLACE.region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    PYBUNDLE_BUCKET: bucket,
  }
}
