import { existsSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withDurableExecution } from '@aws/durable-execution-sdk-js'
import { PutObjectCommand } from '@aws-sdk/client-s3'
import { onTestFinished } from 'vitest'
import { askFleet } from '../../lambda/ask-fleet.ts'
import { durableClient } from '../../lambda/durable-client.ts'
import { writeFleetReport } from '../../lambda/fleet-report-store.ts'
import { lookAgain } from '../../lambda/look-again.ts'
import { rollout } from '../../lambda/rollout.ts'
import { askingClient, sendingClient } from '../../lambda/ssm-clients.ts'
import { s3Client } from '../../lib/aws/clients.ts'
import { listFleet, listGone } from '../../lib/aws/fleet-directory.ts'
import { objectStore } from '../../lib/aws/object-store.ts'
import type { RolloutEngine } from '../../lib/aws/rollout-engine.ts'
import { runCommand } from '../../lib/aws/run-command.ts'
import { readManifest } from '../../lib/bundle/read-manifest.ts'
import { sha256 } from '../../lib/release/digest.ts'
import type { FleetPolicy } from '../../lib/release/fleet.ts'
import { bundleKey, codeKey, requestKey, rolloutKey, stateKey } from '../../lib/release/keys.ts'
import { documentName } from '../../lib/release/names.ts'
import { executionSeconds } from '../../lib/release/operations.ts'
import { type RolloutRecord, rolloutRecord } from '../../lib/release/record.ts'
import { releaseId } from '../../lib/release/release.ts'
import { requestId } from '../../lib/release/request.ts'
import { EMPTY_STATE, type State, state as stateSchema } from '../../lib/release/state.ts'
import { openCredentialStore } from '../../local/credentials.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { type Service, ServiceError } from '../../local/http/service.ts'
import { DurableEngine } from '../../local/lambda/durable/engine.ts'
import type { Execution } from '../../local/lambda/durable/execution.ts'
import { openExecutionStore } from '../../local/lambda/durable/execution-store.ts'
import type { FunctionVersion } from '../../local/lambda/function-config.ts'
import { createS3Service } from '../../local/s3/service.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { bundle, codeArchive } from '../lambda/bucket.ts'
import { type CheckpointHooks, inProcessClient } from './in-process-client.ts'
import { type Fault, openSimulatedFleet } from './simulated-fleet.ts'
import { VirtualClock } from './virtual-clock.ts'

export const SCOPE = { environment: 'production', app: 'shop' }
const REGION = 'eu-central-1'
const BUCKET = 'artifacts'
const IN_MEMORY = '/dev/shm'
const TAGS = { app: 'shop' }

const POLICY: FleetPolicy = {
  ...SCOPE,
  tags: TAGS,
  waves: [1, '50%', '100%'],
  bakeSeconds: 60,
  maxConcurrency: '50%',
  maxPrepareFailures: 0,
  maxActivateFailures: 0,
  onFailure: 'revert',
  prepareSeconds: 900,
  migrateSeconds: 3600,
  activateSeconds: 120,
}

const FUNCTION: FunctionVersion = {
  version: '1',
  config: {
    name: 'rollout',
    handler: 'index.handler',
    directory: '',
    codeHash: '',
    environment: {},
    timeoutSeconds: 300,
    memoryMb: 512,
    role: 'rollout',
    durable: { executionTimeoutSeconds: 172_800, retentionDays: 14 },
  },
}

/** When the process that runs the rollout is killed: at its nth checkpoint, before or after it is stored. */
export interface Kill {
  checkpoint: number
  when: 'before' | 'after'
}

interface MachineOptions {
  targets?: number
  policy?: Partial<FleetPolicy>
}

/**
 * The control plane in this process: the real functions, the unmodified SDKs, S3 and Run Command of the local
 * cloud over HTTP, durable executions that suspend at each wait and replay, on a virtual clock.
 */
export async function openMachine({ targets = 5, policy = {} }: MachineOptions = {}) {
  // Each checkpoint is forced to the disk: in memory that costs nothing, where there is such a place.
  const directory = temporaryFolder(existsSync(IN_MEMORY) ? IN_MEMORY : undefined)
  const clock = new VirtualClock()
  const credentials = openCredentialStore(directory)
  const s3 = createS3Service({ directory, region: REGION })
  await s3.createBucket(BUCKET, { versioned: true })
  let s3Fault: (method: string, path: string) => Fault = () => undefined

  const fleet = openSimulatedFleet({
    directory: join(directory, 'ssm'),
    region: REGION,
    clock,
    document: documentName(SCOPE.environment, SCOPE.app),
    tags: TAGS,
    readState: () => readState(),
  })
  for (let index = 1; index <= targets; index++) fleet.add(`i-${index}`)

  // Of a process that was killed nothing arrives any more; what had arrived is done.
  let alive = 'user/machine-1'
  const arrived = new Set<Promise<void>>()
  const gated =
    (service: Service): Service =>
    async (request, response) => {
      response.setHeader('date', new Date().toUTCString())
      if (request.principal.startsWith('user/machine-') && request.principal !== alive) {
        return new Promise(() => {})
      }
      const work = service(request, response)
      arrived.add(work)
      await work.finally(() => arrived.delete(work))
    }
  const faultyS3: Service = async (request, response) => {
    const fault = s3Fault(request.method, request.path)
    if (fault === 'throttled') throw new ServiceError(503, 'SlowDown', 'Please reduce your request rate.')
    if (fault === 'answer lost') response.end = () => response.destroy()
    await s3(request, response)
  }
  const endpoint = await startEndpoint({
    port: 0,
    credentials,
    services: {
      s3: Object.assign(gated(faultyS3), { refuse: s3.refuse }),
      ssm: gated(fleet.service),
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
  const client = s3Client()
  // Who it is, it asks the environment at its first call otherwise.
  await client.config.credentials()
  const store = objectStore(client, BUCKET)
  enter(alive)

  async function readState(): Promise<State> {
    const stored = await store.readJson(stateKey(SCOPE))
    return stored ? stateSchema.parse(stored) : EMPTY_STATE
  }

  // --- The engine, which can die ---
  let generation = 1
  let checkpoints = 0
  let invocations = 0
  let kill: Kill | undefined
  let life = new AbortController()
  let crash: Promise<void> | undefined
  let engine = startEngine()

  function startEngine(): DurableEngine {
    const ownLife = life
    const hooks: CheckpointHooks = {
      async beforeStored() {
        checkpoints++
        if (kill?.checkpoint === checkpoints && kill.when === 'before') return die()
      },
      async afterStored() {
        if (kill?.checkpoint === checkpoints && kill.when === 'after') return die()
      },
    }
    const created: DurableEngine = new DurableEngine({
      store: openExecutionStore(join(directory, 'executions')),
      sleepUntil: clock.sleepUntil,
      limits: () => ({
        executionTimeoutSeconds: executionSeconds({ ...POLICY, ...policy }),
        retentionDays: 14,
      }),
      onStatusChange: (execution) => {
        if (execution.status !== 'RUNNING') void clock.during(look(), ownLife.signal)
      },
      invoke: (execution, payload) => {
        invocations++
        return clock.during(invoke(created, hooks, execution, payload), ownLife.signal)
      },
    })
    return created
  }

  /** Never returns to who called it: that process is gone. */
  function die(): Promise<never> {
    kill = undefined
    crash = restart()
    return new Promise(() => {})
  }

  async function restart(): Promise<void> {
    alive = `user/machine-${++generation}`
    engine.close()
    life.abort()
    life = new AbortController()
    await Promise.allSettled([...arrived])
    enter(alive)
    engine = startEngine()
    engine.resume()
  }

  const adapter: RolloutEngine = {
    status: async (name) => engine.all().find((execution) => execution.name === name)?.status,
    start: async (name, payload) => {
      engine.start({ version: FUNCTION, functionArn: 'arn:rollout:1', input: JSON.stringify(payload), name })
    },
  }

  const fleetLooker = {
    start: async () => {
      const commands = runCommand(askingClient(), sendingClient())
      const asking = askFleet({
        commands: {
          pinDocument: (name) => clock.during(commands.pinDocument(name)),
          send: (options) => clock.during(commands.send(options)),
          endedCounts: (ids, phase) => clock.during(commands.endedCounts(ids, phase)),
          invocations: (ids) => clock.during(commands.invocations(ids)),
        },
        document: documentName(SCOPE.environment, SCOPE.app),
        listFleet: () => clock.during(listFleet(askingClient(), TAGS)),
        listGone: (targets) => clock.during(listGone(askingClient(), targets)),
        pause: (seconds) => clock.sleepUntil(new Date(Date.now() + seconds * 1000), life.signal),
      })
      void asking.then((look) => clock.during(writeFleetReport(store, SCOPE, look))).catch(() => {})
    },
  }
  const look = () => lookAgain({ store, engine: adapter, fleetLooker }, SCOPE)
  const isAnythingRunning = () => engine.all().some(({ status }) => status === 'RUNNING')

  let artifactBundle: { key: string; digest: string } | undefined
  const archives = new Map<string, Uint8Array>()
  let asked = 0

  async function uploadBundle() {
    if (artifactBundle) return artifactBundle
    const content = await readFile(await bundle(directory))
    const read = async (start: number, end: number) => content.subarray(start, end + 1)
    const { digest } = await readManifest({ size: content.length, read })
    const key = bundleKey(SCOPE, digest)
    await put(key, content)
    artifactBundle = { key, digest }
    return artifactBundle
  }

  async function put(key: string, body: Uint8Array) {
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }))
  }

  const machine = {
    clock,
    fleet,
    store,
    look,
    state: readState,
    get checkpoints() {
      return checkpoints
    },
    get invocations() {
      return invocations
    },
    executions: () => engine.all(),
    record: async (id: string): Promise<RolloutRecord> =>
      rolloutRecord.parse(await store.readJson(rolloutKey(SCOPE, id))),
    /** Writes any request and lets the functions see it; gives its id. */
    async ask(content: Record<string, unknown>): Promise<string> {
      const id = requestId(new Date(), `ask ${++asked}`)
      const common = { format: 1, id, ...SCOPE, requestedBy: 'test', requestedAt: new Date().toISOString() }
      const body = Buffer.from(JSON.stringify({ ...common, ...content }))
      await clock.during(put(requestKey(SCOPE, id), body))
      await clock.during(look())
      return id
    },
    /** Uploads a release made of this text, and the app's bundle. */
    async upload(text: string) {
      // An archive holds the time at which it was made: the same text is the same bytes.
      const code = archives.get(text) ?? (await codeArchive(text))
      archives.set(text, code)
      const digest = sha256(code)
      const artifacts = { bundle: await uploadBundle(), code: { key: codeKey(SCOPE, digest), digest } }
      await put(artifacts.code.key, code)
      return { ...artifacts, release: releaseId({ bundle: artifacts.bundle.digest, code: digest }) }
    },
    /** Asks for a release made of this text. */
    async publish(text: string): Promise<{ id: string; release: string }> {
      const { release, ...artifacts } = await clock.during(machine.upload(text))
      return { id: await machine.ask({ action: 'deploy', ...artifacts }), release }
    },
    /** Publishes and waits for the end. */
    async rollOut(text: string) {
      const asked = await machine.publish(text)
      await machine.settle()
      return { ...asked, record: await machine.record(asked.id) }
    },
    /** Until no rollout runs any more; time passes. */
    async settle(): Promise<void> {
      for (;;) {
        await clock.quiet()
        if (crash) {
          await crash
          crash = undefined
          continue
        }
        if (!isAnythingRunning()) return
        if (!(await clock.pass()) && isAnythingRunning() && !crash)
          throw new Error('nobody waits for anything')
      }
    },
    /** As much time as this, or until a condition holds. */
    async pass(seconds: number, until: () => boolean | Promise<boolean> = () => false): Promise<void> {
      const end = Date.now() + seconds * 1000
      while (!(await until()) && (await clock.pass(end))) await clock.quiet()
    },
    /** As the schedule asks it. */
    lookAtFleet: () => fleetLooker.start(),
    /** The status event, the schedule, anything: on-upload looks. */
    async lookAgain() {
      await clock.during(look())
    },
    killAt(planned: Kill) {
      kill = planned
      checkpoints = 0
    },
    countCheckpoints() {
      checkpoints = 0
    },
    /** Ends the execution as Lambda would: no cleanup runs. */
    async endEngine(): Promise<void> {
      for (const execution of engine.all()) {
        if (execution.status === 'RUNNING') engine.stop(execution.arn, undefined)
      }
      await clock.quiet()
    },
    /** Before its test has ended, for one that has many. */
    close,
    onS3(decide: typeof s3Fault) {
      s3Fault = decide
    },
    policy(change: Partial<FleetPolicy>) {
      policy = { ...policy, ...change }
      enter(alive)
    },
  }

  let isClosed = false
  async function close(): Promise<void> {
    if (isClosed) return
    isClosed = true
    engine.close()
    life.abort()
    fleet.close()
    await endpoint.close()
    clock.close()
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
    rmSync(directory, { recursive: true, force: true })
  }
  onTestFinished(close)
  return machine
}

export type Machine = Awaited<ReturnType<typeof openMachine>>

async function invoke(
  engine: DurableEngine,
  hooks: CheckpointHooks,
  { functionArn }: Execution,
  payload: Buffer,
) {
  const handler = withDurableExecution(rollout, {
    durableExecutionClient: durableClient(inProcessClient(engine, hooks)),
  })
  const context = {
    awsRequestId: 'request',
    invokedFunctionArn: functionArn,
    functionName: 'rollout',
    functionVersion: '1',
    // No time is left: each wait really suspends, and what comes after it is a replay.
    getRemainingTimeInMillis: () => 0,
  }
  try {
    const answer = await handler(JSON.parse(payload.toString()), context as never)
    return { payload: Buffer.from(JSON.stringify(answer)) }
  } catch (error) {
    const { name, message } = error as Error
    const failure = { errorType: name, errorMessage: message }
    return { payload: Buffer.from(JSON.stringify(failure)), error: 'Unhandled' as const }
  }
}
