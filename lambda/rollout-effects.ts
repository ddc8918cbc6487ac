import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { s3Client } from '../lib/aws/clients.ts'
import { listFleet, listGone } from '../lib/aws/fleet-directory.ts'
import { objectStore } from '../lib/aws/object-store.ts'
import { rolloutEvents } from '../lib/aws/rollout-events.ts'
import { type PinnedDocument, runCommand } from '../lib/aws/run-command.ts'
import type { Action } from '../lib/release/command.ts'
import { type FleetPolicy, paceOf } from '../lib/release/fleet.ts'
import type { AppScope } from '../lib/release/keys.ts'
import { documentName } from '../lib/release/names.ts'
import { type Limits, verdictsOf } from '../lib/release/progress.ts'
import type { Retirement } from '../lib/release/retention.ts'
import type { ServedRelease, State } from '../lib/release/state.ts'
import { eventsClient, noteLost } from './events-client.ts'
import { functionEnvironment } from './function-environment.ts'
import { logDurably } from './function-log.ts'
import { type LookAtAlarms, lookAtAlarms, lookAway } from './look-at-alarms.ts'
import { retireReleases } from './retire-releases.ts'
import { readRecord, updateRecord } from './rollout-record.ts'
import { type ChangeRecord, runPhase } from './run-phase.ts'
import { askingClient, sendingClient } from './ssm-clients.ts'
import { readState, writeState } from './state-store.ts'

export interface RolloutInput extends AppScope {
  /** The id of the request, and of the record. */
  rollout: string
  token: number
}

/** What all commands of a rollout share, fixed when it began. */
export interface Ground {
  desired: ServedRelease
  document: PinnedDocument
}

export interface PhaseOptions {
  /** Unique in the rollout: durable operations are told apart by it. */
  name: string
  /** As the record names it, where several commands make one phase. */
  phase?: string
  targets: readonly string[]
  action: Action
  limits?: Limits
  /** In phases before it that ask for the same. */
  waitedSeconds?: number
  /** What rings meanwhile makes it fail. */
  alarms?: LookAtAlarms
  /** Another rollout's command, sent by this one. */
  as?: { rollout: string; release: string }
}

/** What a rollout does to the world, and how it looks at it. */
export function rolloutEffects(input: RolloutInput, context: DurableContext) {
  const environment = functionEnvironment()
  const store = objectStore(s3Client(), environment.bucket)
  const ssm = askingClient()
  const commands = runCommand(ssm, sendingClient())
  const policy = policyOf(environment.fleets, input)
  const log = logDurably(context, {
    environment: input.environment,
    app: input.app,
    rollout: input.rollout,
    token: input.token,
  })
  const events = rolloutEvents(eventsClient(), noteLost(context.logger))

  const record: ChangeRecord = (change) => updateRecord(store, input, input.rollout, change)

  return {
    store,
    policy,
    record,
    tell: events.tell,
    /** From now on each line of the log has these keys, too. */
    logWith: (keys: { release: string }) => log.appendPersistentKeys(keys),
    lookAtAlarms: lookAtAlarms(policy.alarms),
    state: async () => (await readState(store, input)).state,
    readRecord: () => readRecord(store, input, input.rollout),
    listFleet: () => listFleet(ssm, policy.tags),
    listGone: (targets: readonly string[]) => listGone(ssm, targets),
    pinDocument: () => commands.pinDocument(documentName(input.environment, input.app)),

    /** Only the rollout that has the lock changes the state; other looks may have changed it in between. */
    async changeState(change: (state: State) => State): Promise<void> {
      const stored = await readState(store, input)
      if (stored.state.lock?.token !== input.token) return
      if (!(await writeState(store, input, { ...stored, state: change(stored.state) }))) {
        throw new Error('state.json was changed by somebody else')
      }
    },

    /** While the lock is held, nobody asks for anything again. What cannot be tagged now is the next rollout's. */
    async retire(): Promise<Retirement> {
      const nothing = { retired: [], revived: [] }
      try {
        const { state } = await readState(store, input)
        if (state.lock?.token !== input.token) return nothing
        return await retireReleases(store, input, { state, keepReleases: policy.keepReleases })
      } catch (error) {
        log.warn('Nothing was retired; the next rollout does it.', { error })
        return nothing
      }
    },

    run(ground: Ground, { name, phase = name, targets, action, ...options }: PhaseOptions) {
      const { longestSeconds, ...pace } = paceOf(policy, action, targets.length)
      const { document, desired } = ground
      const { token, rollout } = input
      const own = { action, release: desired.release, digests: desired, token, rollout }
      const command = { ...own, ...options.as }
      // With the token: what an execution that died had sent is not this one's.
      const comment = `${rollout} ${token} ${name}`
      return runPhase(context, record, {
        name,
        phase,
        targets,
        action,
        limits: options.limits ?? { allowed: 0 },
        waitedSeconds: options.waitedSeconds ?? 0,
        lookAtAlarms: options.alarms ?? lookAway,
        longestSeconds,
        send: (since) => commands.send({ document, targets, command, comment, since, ...pace }),
        endedCounts: (ids, since) => commands.endedCounts(ids, { document, since }),
        answers: async (ids) => verdictsOf(action, await commands.invocations(ids)),
        gone: (suspects) => listGone(ssm, suspects),
      })
    },
  }
}

export type RolloutEffects = ReturnType<typeof rolloutEffects>

function policyOf(fleets: readonly FleetPolicy[], { environment, app }: AppScope): FleetPolicy {
  const policy = fleets.find((known) => known.environment === environment && known.app === app)
  if (!policy) throw new Error(`no fleet is configured for "${app}" in "${environment}"`)
  return policy
}
