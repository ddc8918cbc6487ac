import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { SSMClient } from '@aws-sdk/client-ssm'
import { s3Client } from '../lib/aws/clients.ts'
import { listFleet } from '../lib/aws/fleet-directory.ts'
import { objectStore } from '../lib/aws/object-store.ts'
import { type PinnedDocument, runCommand } from '../lib/aws/run-command.ts'
import type { Action } from '../lib/release/command.ts'
import { commandSeconds, type FleetPolicy, type WaveSize } from '../lib/release/fleet.ts'
import type { AppScope } from '../lib/release/keys.ts'
import { documentName } from '../lib/release/names.ts'
import { type PhaseResult, secondsToNextLook, verdictsOf } from '../lib/release/progress.ts'
import { endRecord, type Outcome, type RolloutRecord } from '../lib/release/record.ts'
import { freeLock, type ServedRelease, type State, serveRelease } from '../lib/release/state.ts'
import { functionEnvironment } from './function-environment.ts'
import { updateRecord } from './rollout-record.ts'
import { runPhase } from './run-phase.ts'
import { readState, writeState } from './state-store.ts'

export interface RolloutInput extends AppScope {
  /** The id of the request, and of the record. */
  rollout: string
  token: number
}

export interface Plan {
  refusal?: string
  targets: [string, ...string[]]
  waves: WaveSize[]
}

interface PhaseOptions {
  /** Unique in the rollout: durable operations are told apart by it. */
  name: string
  /** As the record names it, where several commands make one phase. */
  phase?: string
  targets: readonly string[]
  action: Action
  maxConcurrency: string
  deliverySeconds: number
  maxFailures: number
}

/** A target that is online takes a command within seconds; one that does not within this time has failed. */
const DELIVERY_SECONDS = 90
/** What Run Command may take beyond its own time-outs until it says so. */
const GRACE_SECONDS = 120
/** The rollout's effects, each a durable step: what it did is kept, and done again it changes nothing. */
export function rolloutSteps(input: RolloutInput, context: DurableContext) {
  const environment = functionEnvironment()
  const store = objectStore(s3Client(), environment.bucket)
  const ssm = new SSMClient({ maxAttempts: 8, retryMode: 'adaptive' })
  const commands = runCommand(ssm)
  const policy = policyOf(environment.fleets, input)
  let desired: ServedRelease
  let hasPrevious: boolean
  let document: PinnedDocument
  let since: string

  const record = (change: (known: RolloutRecord, now: string) => RolloutRecord) =>
    updateRecord(store, input, input.rollout, change)

  const changeState = async (change: (state: State) => State) => {
    const stored = await readState(store, input)
    if (stored.state.lock?.token !== input.token) return
    if (!(await writeState(store, input, { ...stored, state: change(stored.state) }))) {
      throw new Error('state.json was changed by somebody else')
    }
  }

  function run({ name, phase = name, targets, action, ...limits }: PhaseOptions) {
    const { maxFailures, maxConcurrency, deliverySeconds } = limits
    const longestSeconds = deliverySeconds + commandSeconds(policy) + GRACE_SECONDS
    const { token, rollout } = input
    const command = { action, release: desired.release, digests: desired, token, rollout }
    const comment = `${rollout} ${name}`
    const send = () =>
      commands.send({ document, targets, command, comment, since, maxConcurrency, deliverySeconds })
    const answers = async (ids: string[]) => verdictsOf(action, await commands.invocations(ids))
    const asked = { name, phase, targets, action, maxFailures, longestSeconds, send, answers }
    return runPhase(context, record, asked)
  }

  const steps = {
    /** Undefined when the lock is not this execution's (any more): there is nothing to do. */
    async claim(): Promise<Plan | undefined> {
      const claimed = await context.step('claim', async () => {
        const { state } = await readState(store, input)
        if (state.lock?.token !== input.token || !state.desired) return null
        const members = await listFleet(ssm, policy.tags)
        return {
          since: new Date().toISOString(),
          desired: state.desired,
          hasPrevious: state.current !== null,
          document: await commands.pinDocument(documentName(input.environment, input.app)),
          targets: members.filter(({ online }) => online).map(({ target }) => target),
        }
      })
      if (!claimed) return undefined
      ;({ since, desired, hasPrevious, document } = claimed)
      const [first, ...others] = claimed.targets
      if (!first) return { refusal: noTargets(policy), targets: [''], waves: policy.waves }
      return { targets: [first, ...others], waves: policy.waves }
    },

    prepare: (name: string, targets: readonly string[]) =>
      run({
        name,
        targets,
        action: 'prepare',
        maxConcurrency: policy.maxConcurrency,
        // Those queued behind the concurrency limit expire with the command.
        deliverySeconds: Math.max(DELIVERY_SECONDS, policy.prepareSeconds),
        maxFailures: name === 'prepare' ? policy.maxFailures : 0,
      }),

    /** The migration runs detached on the leader; each command starts it or asks how it stands. */
    async migrate(leader: string): Promise<PhaseResult> {
      let waited = 0
      for (let asked = 1; ; asked++) {
        const name = asked === 1 ? 'migrate' : `migrate, asked ${asked} times`
        const result = await now({ name, phase: 'migrate', targets: [leader], action: 'migrate' })
        if (result.failure || result.succeeded.length > 0) return result
        waited += result.seconds
        if (waited >= policy.migrateSeconds) return { ...result, failure: stillMigrating(leader, policy) }
        const pause = secondsToNextLook(waited)
        await context.wait(`wait for ${name}`, { seconds: pause })
        waited += pause
      }
    },

    activate: (name: string, targets: readonly string[]) => now({ name, targets, action: 'activate' }),

    async bake(name: string): Promise<void> {
      if (policy.bakeSeconds > 0) await context.wait(name, { seconds: policy.bakeSeconds })
    },

    /** Who failed puts the previous release back by itself; here the others go back, and who did not say so. */
    async rollBack(targets: readonly string[], failure: string): Promise<void> {
      const result = await now({ name: 'roll back', targets, action: 'revert' })
      if (result.failure) return steps.end('failed', `${failure} Going back failed too: ${result.failure}`)
      await steps.end(hasPrevious ? 'rolled-back' : 'failed', failure)
    },

    /** From here on the release is the fleet's current one; who came during the rollout catches up to it. */
    async catchUpNewcomers(planned: readonly string[]): Promise<void> {
      const newcomers = await context.step('serve', async () => {
        await changeState((state) => serveRelease(state, desired))
        const members = await listFleet(ssm, policy.tags)
        return members
          .filter(({ target, online }) => online && !planned.includes(target))
          .map(({ target }) => target)
      })
      await now({ name: 'catch up', targets: newcomers, action: 'catch-up' })
    },

    async end(outcome: Outcome, reason?: string): Promise<void> {
      await context.step('end', async () => {
        await record((known, now) => endRecord(known, outcome, now, reason))
        await changeState(freeLock)
      })
    },
  }

  function now(options: Pick<PhaseOptions, 'name' | 'phase' | 'targets' | 'action'>) {
    return run({ ...options, maxConcurrency: '100%', deliverySeconds: DELIVERY_SECONDS, maxFailures: 0 })
  }

  return steps
}

function policyOf(fleets: readonly FleetPolicy[], { environment, app }: AppScope): FleetPolicy {
  const policy = fleets.find((known) => known.environment === environment && known.app === app)
  if (!policy) throw new Error(`no fleet is configured for "${app}" in "${environment}"`)
  return policy
}

function stillMigrating(leader: string, { migrateSeconds }: FleetPolicy): string {
  return `The migration has not ended within ${migrateSeconds} s and still runs on ${leader}; nothing was activated. Publish again when it has ended.`
}

function noTargets({ environment, app, tags }: FleetPolicy): string {
  const wanted = Object.entries(tags).map(([key, value]) => `${key}=${value}`)
  return `No target of ${app} in ${environment} is online: SSM knows no running instance tagged ${wanted.join(', ')}.`
}
