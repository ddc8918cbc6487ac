import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { SSMClient } from '@aws-sdk/client-ssm'
import { s3Client } from '../lib/aws/clients.ts'
import { listFleet } from '../lib/aws/fleet-directory.ts'
import { objectStore } from '../lib/aws/object-store.ts'
import { type PinnedDocument, runCommand } from '../lib/aws/run-command.ts'
import type { Action } from '../lib/release/command.ts'
import type { FleetPolicy, WaveSize } from '../lib/release/fleet.ts'
import type { AppScope } from '../lib/release/keys.ts'
import { documentName } from '../lib/release/names.ts'
import { judgePhase, type PhaseResult, verdictsOf } from '../lib/release/progress.ts'
import { beginPhase, endRecord, noteProgress, type Outcome } from '../lib/release/record.ts'
import { freeLock, type ServedRelease, type State, serveRelease } from '../lib/release/state.ts'
import { functionEnvironment } from './function-environment.ts'
import { updateRecord } from './rollout-record.ts'
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
  /** As the record names it. */
  name: string
  targets: readonly string[]
  action: Action
  served: ServedRelease
  maxConcurrency: string
  deliverySeconds: number
  maxFailures: number
}

/** A target that is online takes a command within seconds; one that does not within this time has failed. */
const DELIVERY_SECONDS = 90
const LONGEST_POLL_SECONDS = 30
/** Calls that fail for this many polls in a row end the rollout; a throttled minute does not. */
const FAILED_POLLS = 20

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

  const record = (change: Parameters<typeof updateRecord>[3]) =>
    updateRecord(store, input, input.rollout, change)

  const changeState = async (change: (state: State) => State) => {
    const stored = await readState(store, input)
    if (stored.state.lock?.token !== input.token) return
    if (!(await writeState(store, input, { ...stored, state: change(stored.state) }))) {
      throw new Error('state.json was changed by somebody else')
    }
  }

  /** Sends a command to targets and follows it until each has ended. */
  async function runPhase({ name, targets, action, served, ...limits }: PhaseOptions): Promise<PhaseResult> {
    if (targets.length === 0) return { succeeded: [] }
    const commandIds = await context.step(`send ${name}`, async () => {
      await record((known, now) => beginPhase(known, name, [...targets], now))
      const command = {
        action,
        release: served.release,
        digests: served,
        token: input.token,
        rollout: input.rollout,
      }
      return commands.send({ ...limits, document, targets, command, comment: `${input.rollout} ${name}` })
    })
    const look = async (answered: number) => {
      const answers = await commands.invocations(commandIds)
      const verdicts = verdictsOf(action, answers)
      const count = Object.keys(verdicts).length
      const ended = count >= targets.length
      // A poll that found nothing new writes nothing.
      if (count > answered || ended)
        await record((known, now) => noteProgress(known, { phase: name, verdicts, ended }, now))
      return { answered: count, ended, failedPolls: 0 }
    }
    await context.waitForCondition(
      `watch ${name}`,
      // A check that throws is not retried by the SDK but ends the execution: failures are counted instead.
      async (seen) => {
        try {
          return await look(seen.answered)
        } catch (error) {
          if (seen.failedPolls + 1 >= FAILED_POLLS) throw error
          return { ...seen, failedPolls: seen.failedPolls + 1 }
        }
      },
      {
        initialState: { answered: 0, ended: false, failedPolls: 0 },
        waitStrategy: (seen, attempt) =>
          seen.ended
            ? { shouldContinue: false }
            : {
                shouldContinue: true,
                delay: { seconds: Math.min(Math.ceil(attempt / 3), LONGEST_POLL_SECONDS) },
              },
      },
    )
    return context.step(`judge ${name}`, async () =>
      judgePhase(verdictsOf(action, await commands.invocations(commandIds)), limits.maxFailures),
    )
  }

  const steps = {
    /** Undefined when the lock is not this execution's (any more): there is nothing to do. */
    async claim(): Promise<Plan | undefined> {
      const claimed = await context.step('claim', async () => {
        const { state } = await readState(store, input)
        if (state.lock?.token !== input.token || !state.desired) return null
        const members = await listFleet(ssm, policy.tags)
        return {
          desired: state.desired,
          hasPrevious: state.current !== null,
          document: await commands.pinDocument(documentName(input.environment, input.app)),
          targets: members.filter(({ online }) => online).map(({ target }) => target),
        }
      })
      if (!claimed) return undefined
      ;({ desired, hasPrevious, document } = claimed)
      const [first, ...others] = claimed.targets
      if (!first) return { refusal: noTargets(policy), targets: [''], waves: policy.waves }
      return { targets: [first, ...others], waves: policy.waves }
    },

    prepare: (name: string, targets: readonly string[]) =>
      runPhase({
        name,
        targets,
        action: 'prepare',
        served: desired,
        maxConcurrency: policy.maxConcurrency,
        // Those queued behind the concurrency limit expire with the command.
        deliverySeconds: Math.max(DELIVERY_SECONDS, policy.prepareSeconds),
        maxFailures: name === 'prepare' ? policy.maxFailures : 0,
      }),

    /** The migration runs detached on the leader; each command starts it or asks how it stands. */
    async migrate(leader: string): Promise<PhaseResult> {
      for (let asked = 1; ; asked++) {
        const name = asked === 1 ? 'migrate' : `migrate, asked ${asked} times`
        const result = await now({ name, targets: [leader], action: 'migrate', served: desired })
        if (result.failure || result.succeeded.length > 0) return result
        await context.wait(`wait for ${name}`, { seconds: Math.min(5 * asked, LONGEST_POLL_SECONDS) })
      }
    },

    activate: (name: string, targets: readonly string[]) =>
      now({ name, targets, action: 'activate', served: desired }),

    async bake(name: string): Promise<void> {
      if (policy.bakeSeconds > 0) await context.wait(name, { seconds: policy.bakeSeconds })
    },

    /** Who failed has put the previous release back by itself; here those go back that had succeeded. */
    async rollBack(activated: readonly string[], failure: string): Promise<void> {
      const result = await now({ name: 'roll back', targets: activated, action: 'revert', served: desired })
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
      await now({ name: 'catch up', targets: newcomers, action: 'catch-up', served: desired })
    },

    async end(outcome: Outcome, reason?: string): Promise<void> {
      await context.step('end', async () => {
        await record((known, now) => endRecord(known, outcome, now, reason))
        await changeState(freeLock)
      })
    },
  }

  function now(options: Pick<PhaseOptions, 'name' | 'targets' | 'action' | 'served'>): Promise<PhaseResult> {
    return runPhase({ ...options, maxConcurrency: '100%', deliverySeconds: DELIVERY_SECONDS, maxFailures: 0 })
  }

  return steps
}

function policyOf(fleets: readonly FleetPolicy[], { environment, app }: AppScope): FleetPolicy {
  const policy = fleets.find((known) => known.environment === environment && known.app === app)
  if (!policy) throw new Error(`no fleet is configured for "${app}" in "${environment}"`)
  return policy
}

function noTargets({ environment, app, tags }: FleetPolicy): string {
  const wanted = Object.entries(tags).map(([key, value]) => `${key}=${value}`)
  return `No target of ${app} in ${environment} is online: SSM knows no running instance tagged ${wanted.join(', ')}.`
}
