import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { allowedFailures, type WaveSize } from '../lib/release/fleet.ts'
import { bakeLooks, type PhaseResult } from '../lib/release/progress.ts'
import { endRecord, type Outcome } from '../lib/release/record.ts'
import { isForward } from '../lib/release/recovery.ts'
import { failRelease, freeLock, type Lock, serveRelease, stopLock } from '../lib/release/state.ts'
import { bringBack } from './bring-back.ts'
import { claimRollout } from './claim-rollout.ts'
import { migrateOnce } from './migrate-once.ts'
import { type Ground, type RolloutInput, rolloutEffects } from './rollout-effects.ts'

export type { RolloutInput } from './rollout-effects.ts'

export interface Plan {
  refusal?: string
  isRecovery: boolean
  targets: string[]
  waves: WaveSize[]
}

/** Why a rollout does not go on, and what becomes of the fleet. */
export interface Halt {
  reason: string
  fleet: 'revert' | 'stop'
  /** By request, not because something failed. */
  isAsked: boolean
}

type Cancel = NonNullable<Lock['cancel']>

interface Bake {
  waits: number
  cancel: Cancel | null
}

/** The rollout's effects, each a durable step: what it did is kept, and done again it changes nothing. */
export function rolloutSteps(input: RolloutInput, context: DurableContext) {
  const effects = rolloutEffects(input, context)
  const { policy, record, changeState } = effects
  let ground: Ground
  let plan: Plan
  let current: string | null
  let migrates = true
  let recovery: Lock['recovery'] | undefined
  let touchedBefore: string[] = []
  // What the phases so far have told; a replay tells it again.
  const prepared: string[] = []
  const failed = new Set<string>()
  const touched = new Set<string>()
  const activated = new Set<string>()
  const serves: Record<string, string | null> = {}

  const note = (result: PhaseResult) => {
    Object.assign(serves, result.serves)
    for (const target of result.failed) {
      failed.add(target)
      // What it served before is no word on what it serves now.
      if (!(target in result.serves)) delete serves[target]
    }
    return result
  }

  const cancelAsked = async (): Promise<Cancel | null> => (await effects.state()).lock?.cancel ?? null

  const cancelled = async (when: string): Promise<Halt | undefined> => {
    const cancel = await context.step(`heed ${when}`, cancelAsked)
    return cancel ? haltFor(cancel) : undefined
  }

  const steps = {
    /** Undefined when the lock is not this execution's (any more): there is nothing to do. */
    async claim(): Promise<Plan | undefined> {
      const claimed = await context.step('claim', () => claimRollout(effects, input))
      if (!claimed) return undefined
      ;({ ground, current, touchedBefore } = claimed)
      const { lock, online, silent } = claimed
      migrates = !lock.isRollback && !lock.isRepair
      recovery = lock.recovery
      for (const target of silent) failed.add(target)
      const refusal = online.length === 0 ? noTargets(policy) : undefined
      const isRecovery = recovery !== undefined
      plan = { targets: online, waves: policy.waves, isRecovery, ...(refusal && { refusal }) }
      return plan
    },

    /** One target first, then the operator's limit; a silent agent on a running instance has failed already. */
    async prepareAll(): Promise<{ toActivate: string[]; failure?: string }> {
      const [first = '', ...others] = plan.targets
      const total = plan.targets.length + failed.size
      const allowed = allowedFailures(policy.maxPrepareFailures, total)
      if (failed.size > allowed) return { toActivate: [], failure: silentAgents([...failed], total) }
      for (const [name, targets] of [
        ['prepare first', [first]],
        ['prepare', others],
      ] as const) {
        const result = note(
          await effects.run(ground, {
            name,
            targets,
            action: 'prepare',
            limits: { allowed, total, failedBefore: failed.size, mustSucceed: false },
          }),
        )
        prepared.push(...result.succeeded)
        if (result.failure) return { toActivate: [], failure: result.failure }
      }
      if (prepared.length === 0) return { toActivate: [], failure: 'No target could be prepared.' }
      return { toActivate: prepared.filter((target) => serves[target] !== ground.desired.release) }
    },

    async migrate(): Promise<{ failure?: string; halt?: Halt }> {
      const halt = await cancelled('before migration')
      if (halt) return { halt }
      return !migrates ? {} : migrateOnce({ context, effects, input, ground }, prepared)
    },

    /** Switches a wave and watches it; gives the reason when the rollout may not go on. */
    async activate(wave: number, targets: readonly string[], isLast: boolean): Promise<Halt | undefined> {
      const total = plan.targets.length
      const limits = {
        allowed: allowedFailures(policy.maxActivateFailures, total),
        failedBefore: [...failed].filter((target) => touched.has(target)).length,
        total,
        mustSucceed: isLast && activated.size === 0,
      }
      const halt = await cancelled(`wave ${wave}`)
      if (halt) return halt
      for (const target of targets) touched.add(target)
      const result = note(
        await effects.run(ground, { name: `wave ${wave}`, targets, action: 'activate', limits }),
      )
      for (const target of result.succeeded) activated.add(target)
      if (result.failure) return { reason: result.failure, fleet: policy.onFailure, isAsked: false }
      if (isLast && activated.size === 0) {
        return { reason: 'No target is left that was activated.', fleet: 'revert', isAsked: false }
      }
      return steps.bake(wave)
    },

    /** Watches for a cancel; one operation a look, for an execution has 3,000 of them. */
    async bake(wave: number): Promise<Halt | undefined> {
      const looks = bakeLooks(policy.bakeSeconds)
      if (looks.length === 0) return undefined
      const { cancel } = await context.waitForCondition(
        `bake ${wave}`,
        async ({ waits }: Bake) => ({ waits: waits + 1, cancel: await cancelAsked().catch(() => null) }),
        {
          initialState: { waits: -1, cancel: null } as Bake,
          waitStrategy: ({ waits, cancel: asked }) => {
            const seconds = looks[waits]
            if (asked || seconds === undefined) return { shouldContinue: false }
            return { shouldContinue: true, delay: { seconds } }
          },
        },
      )
      return cancel ? haltFor(cancel) : undefined
    },

    async halt({ reason, fleet, isAsked }: Halt): Promise<void> {
      if (touched.size === 0) return steps.end('stopped', `${reason} Nothing was activated.`, { isAsked })
      if (fleet === 'stop') return steps.end('stopped', `${reason} Each target stays as it is.`, { isAsked })
      return steps.comeBack(reason, isAsked)
    },

    /** The whole fleet on the release that it had. */
    async comeBack(reason: string, isAsked: boolean): Promise<void> {
      const others = Object.keys(serves).filter((target) => !touched.has(target))
      const astray = await bringBack(effects, ground, current, { touched: [...touched], others, serves })
      const migrated = await context.step('look for migration', async () =>
        (await effects.state()).migrated.some(({ token }) => token === input.token),
      )
      const database = migrated ? ` The database stays migrated to ${ground.desired.release}.` : ''
      if (astray)
        return steps.end('failed', `${reason} Going back failed too: ${astray}.${database}`, { isAsked })
      return steps.end(current ? 'rolled-back' : 'failed', `${reason}${database}`, { isAsked })
    },

    /** Finishes or undoes what an engine that died has left half-way. */
    async recover(): Promise<void> {
      for (const target of touchedBefore) touched.add(target)
      const isToFinish = isForward(current, ground.desired)
      const reason = `The engine ended as ${recovery?.ended} in mid-rollout.`
      if (!isToFinish) {
        for (const target of plan.targets) serves[target] ??= null
        return steps.comeBack(reason, false)
      }
      const others = plan.targets.filter((target) => !touched.has(target))
      const astray = await bringBack(effects, ground, current, { touched: [...touched], others, serves: {} })
      await steps.end(
        astray ? 'failed' : 'done',
        astray ? `${reason} ${astray}.` : `${reason} The rest was done since.`,
      )
    },

    /** From here on the release is the fleet's current one; who came during the rollout catches up to it. */
    async catchUpNewcomers(): Promise<void> {
      const newcomers = await context.step('serve', async () => {
        await changeState((state) => serveRelease(state, ground.desired, input.token))
        const members = await effects.listFleet()
        return members
          .filter(({ target, online }) => online && serves[target] !== ground.desired.release)
          .filter(({ target }) => !failed.has(target))
          .map(({ target }) => target)
      })
      await effects.run(ground, { name: 'catch up', targets: newcomers, action: 'catch-up' })
    },

    async end(
      outcome: Outcome,
      reason?: string,
      { isAsked = false, isBlameless = false } = {},
    ): Promise<void> {
      const isFailure = outcome !== 'done' && !isAsked && !isBlameless && !recovery
      const tolerated = outcome === 'done' && failed.size > 0 ? toleratedFailures([...failed]) : undefined
      await context.step('end', async () => {
        await record((known, now) => endRecord(known, outcome, now, reason ?? tolerated))
        await changeState((state) => {
          const marked = isFailure && state.current?.release !== ground.desired.release
          const known = marked ? failRelease(state, ground.desired.release) : state
          const told = { ...known, failedTargets: [...failed] }
          return outcome === 'stopped' && touched.size > 0 ? stopLock(told) : freeLock(told)
        })
      })
    },
  }
  return steps
}

function haltFor({ by, revert }: Cancel): Halt {
  return { reason: `Cancelled by ${by}.`, fleet: revert ? 'revert' : 'stop', isAsked: true }
}

function noTargets({
  environment,
  app,
  tags,
}: {
  environment: string
  app: string
  tags: Record<string, string>
}) {
  const wanted = Object.entries(tags).map(([key, value]) => `${key}=${value}`)
  return `No target of ${app} in ${environment} is online: SSM knows no running instance tagged ${wanted.join(', ')}.`
}

function silentAgents(targets: readonly string[], total: number): string {
  return `${targets.length} of ${total} run, but their agents are silent: ${some(targets)}`
}

function some(targets: readonly string[]): string {
  const more = targets.length > 3 ? ` and ${targets.length - 3} more` : ''
  return `${targets.slice(0, 3).join(', ')}${more}`
}

function toleratedFailures(targets: readonly string[]): string {
  return `${targets.length} failed, as many as may: ${some(targets)}. They catch up by themselves, or with the next rollout.`
}
