import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Logger } from '@aws-lambda-powertools/logger'
import { onTestFinished } from 'vitest'
import { lookAgain } from '../../lambda/look-again.ts'
import type { FleetPolicy } from '../../lib/release/fleet.ts'
import { requestKey, rolloutKey, stateKey } from '../../lib/release/keys.ts'
import { documentName } from '../../lib/release/names.ts'
import { type RolloutRecord, rolloutRecord } from '../../lib/release/record.ts'
import { requestId } from '../../lib/release/request-id.ts'
import { EMPTY_STATE, type State, state as stateSchema } from '../../lib/release/state.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { openFleetLooker } from './fleet-looker.ts'
import { openMachineCloud } from './machine-cloud.ts'
import { REGION, SCOPE, TAGS } from './machine-settings.ts'
import { type Ended, openMortalEngine } from './mortal-engine.ts'
import { releaseUploads } from './release-uploads.ts'
import { openSimulatedFleet } from './simulated-fleet.ts'
import { VirtualClock } from './virtual-clock.ts'

export { SCOPE } from './machine-settings.ts'
export type { Kill } from './mortal-engine.ts'

const IN_MEMORY = '/dev/shm'

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
  const fleet = openSimulatedFleet({
    directory: join(directory, 'ssm'),
    region: REGION,
    clock,
    document: documentName(SCOPE.environment, SCOPE.app),
    tags: TAGS,
    readState: () => readState(),
  })
  for (let index = 1; index <= targets; index++) fleet.add(`i-${index}`)

  const cloud = await openMachineCloud({ directory, policy, ssm: fleet.service })
  const { store, put, events } = cloud
  const fleetLooker = openFleetLooker(cloud, clock)
  const look = () =>
    lookAgain(
      { store, engine: engine.adapter, fleetLooker, events, log: new Logger({ logLevel: 'SILENT' }) },
      SCOPE,
      { isSigned: policy.isSigned ?? false },
    )
  const engine = openMortalEngine({ directory, clock, cloud, onEnd: look })
  const upload = releaseUploads(directory, cloud)
  let asked = 0

  async function readState(): Promise<State> {
    const stored = await store.readJson(stateKey(SCOPE))
    return stored ? stateSchema.parse(stored) : EMPTY_STATE
  }

  const machine = {
    clock,
    fleet,
    store,
    look,
    state: readState,
    get checkpoints() {
      return engine.checkpoints
    },
    get invocations() {
      return engine.invocations
    },
    executions: engine.all,
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
    upload,
    /** Asks for a release made of this text. */
    async publish(text: string): Promise<{ id: string; release: string }> {
      const { release, ...artifacts } = await clock.during(upload(text))
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
        if (await engine.survived()) continue
        if (!engine.isRunning()) return
        if (!(await clock.pass()) && engine.isRunning() && !engine.isCrashing())
          throw new Error('nobody waits for anything')
      }
    },
    /** As much time as this, or until a condition holds. */
    async pass(seconds: number, until: () => boolean | Promise<boolean> = () => false): Promise<void> {
      const end = Date.now() + seconds * 1000
      while (!(await until())) {
        if (await engine.survived()) continue
        if (!(await clock.pass(end)) && !engine.isCrashing()) return
        await clock.quiet()
      }
    },
    /** As the schedule asks it. */
    lookAtFleet: () => fleetLooker.start(SCOPE),
    /** The status event, the schedule, anything: on-upload looks. */
    async lookAgain() {
      await clock.during(look())
    },
    killAt: engine.killAt,
    countCheckpoints() {
      engine.killAt(undefined)
    },
    /** Ends the execution as Lambda would: no cleanup runs. */
    async endEngine(ended: Ended = 'STOPPED', options: { isEventLost?: boolean } = {}): Promise<void> {
      engine.endAll(ended, options)
      await clock.quiet()
    },
    /** Before its test has ended, for one that has many. */
    close,
    onS3: cloud.onS3,
    onEvents: cloud.onEvents,
    onAlarms: cloud.onAlarms,
    setAlarm: (...alarm: Parameters<typeof cloud.setAlarm>) => clock.during(cloud.setAlarm(...alarm)),
    busEvents: cloud.busEvents,
    /** As the bucket's lifecycle does with what is tagged. */
    expire: cloud.expire,
    policy: cloud.policy,
  }

  let isClosed = false
  async function close(): Promise<void> {
    if (isClosed) return
    isClosed = true
    engine.close()
    fleetLooker.close()
    fleet.close()
    await cloud.close()
    clock.close()
    rmSync(directory, { recursive: true, force: true })
  }
  onTestFinished(close)
  return machine
}

export type Machine = Awaited<ReturnType<typeof openMachine>>
