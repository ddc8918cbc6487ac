import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { allowedFailures, type WaveSize } from '../lib/release/fleet.ts'
import { migratedSince } from '../lib/release/migration.ts'
import { noTargets, silentAgents, toleratedFailures } from '../lib/release/reasons.ts'
import { endRecord, type Outcome } from '../lib/release/record.ts'
import { noteRetirement } from '../lib/release/retention.ts'
import { endLock, failRelease, type Lock, serveRelease } from '../lib/release/state.ts'
import { Tally } from '../lib/release/tally.ts'
import { bringBack } from './bring-back.ts'
import { type Claim, claimRollout } from './claim-rollout.ts'
import { migrateOnce } from './migrate-once.ts'
import { type RolloutInput, rolloutEffects } from './rollout-effects.ts'
import { watchBake } from './watch-bake.ts'

export type { RolloutInput } from './rollout-effects.ts'

export interface Plan {
  refusal?: string
  isRecovery: boolean
  waves: WaveSize[]
}

/** Why a rollout does not go on, and what becomes of the fleet. */
export interface Halt {
  reason: string
  fleet: 'revert' | 'stop'
  /** By request, not because something failed. */
  isAsked: boolean
}

/** The rollout's effects, each a durable step: what it did is kept, and done again it changes nothing. */
export function rolloutSteps(input: RolloutInput, context: DurableContext) {
  const effects = rolloutEffects(input, context)
  const { policy, record, changeState } = effects
  const tally = new Tally()
  let claim: Claim

  const cancelAsked = async () => (await effects.state()).lock?.cancel ?? null

  const cancelled = async (when: string): Promise<Halt | undefined> =>
    haltFor(await context.step(`heed ${when}`, cancelAsked))

  const activationLimits = (mustSucceed = false) => {
    const total = claim.online.length
    const allowed = allowedFailures(policy.maxActivateFailures, total)
    const failedBefore = [...tally.failed].filter((target) => tally.touched.has(target)).length
    return { allowed, failedBefore, total, mustSucceed }
  }

  const steps = {
    /** Undefined when the lock is not this execution's (any more): there is nothing to do. */
    async claim(): Promise<Plan | undefined> {
      const claimed = await context.step('claim', () => claimRollout(effects, input))
      if (!claimed) return undefined
      claim = claimed
      for (const target of claim.silent) tally.failed.add(target)
      const refusal = claim.online.length === 0 ? noTargets(policy) : claim.expired
      const isRecovery = claim.lock.recovery !== undefined
      return { waves: policy.waves, isRecovery, ...(refusal && { refusal }) }
    },

    /** One target first, then the operator's limit; a silent agent on a running instance has failed already. */
    async prepareAll(): Promise<{ prepared: string[]; failure?: string }> {
      const { ground, online, silent } = claim
      const [first = '', ...others] = online
      const total = online.length + silent.length
      const allowed = allowedFailures(policy.maxPrepareFailures, total)
      const prepared: string[] = []
      if (silent.length > allowed) return { prepared, failure: silentAgents(silent, total) }
      for (const [name, targets] of [
        ['prepare first', [first]],
        ['prepare', others],
      ] as const) {
        const limits = { allowed, total, failedBefore: tally.failed.size, mustSucceed: false }
        const result = tally.note(
          await effects.run(ground, {
            name,
            targets,
            action: 'prepare',
            limits,
          }),
        )
        prepared.push(...result.succeeded)
        if (result.failure) return { prepared, failure: result.failure }
      }
      return prepared.length > 0 ? { prepared } : { prepared, failure: 'No target could be prepared.' }
    },

    async migrate(prepared: readonly string[]): Promise<{ failure?: string; halt?: Halt }> {
      const halt = await cancelled('before migration')
      if (halt) return { halt }
      const { isRollback, isRepair } = claim.lock
      if (isRollback || isRepair) return {}
      return migrateOnce({ context, effects, input, ground: claim.ground }, prepared)
    },

    /** Who does not serve the release yet. */
    toActivate: (prepared: readonly string[]) => tally.elsewhere(prepared, claim.ground.desired.release),

    /** Switches a wave and watches it; gives the reason when the rollout may not go on. */
    async activate(wave: number, targets: readonly string[], isLast: boolean): Promise<Halt | undefined> {
      const halt = await cancelled(`wave ${wave}`)
      if (halt) return halt
      const { touched, activated } = tally
      const limits = activationLimits(isLast && activated.size === 0)
      for (const target of targets) touched.add(target)
      const options = { name: `wave ${wave}`, targets, action: 'activate' as const, limits }
      const result = tally.note(await effects.run(claim.ground, options))
      for (const target of result.succeeded) activated.add(target)
      if (result.failure) return { reason: result.failure, fleet: policy.onFailure, isAsked: false }
      if (isLast && activated.size === 0)
        return { reason: 'No target is left that was activated.', fleet: 'revert', isAsked: false }
      if (policy.bakeSeconds === 0) return undefined
      const cancel = await watchBake(context, { wave, bakeSeconds: policy.bakeSeconds }, cancelAsked)
      return cancel ? haltFor(cancel) : steps.check(wave, result.succeeded, isLast)
    },

    /** Who was healthy when it switched may not be so after a while. */
    async check(wave: number, targets: readonly string[], isLast: boolean): Promise<Halt | undefined> {
      const { activated } = tally
      const limits = activationLimits(isLast && activated.size === targets.length)
      const options = { name: `check ${wave}`, targets, action: 'check' as const, limits }
      const { failure, failed } = tally.note(await effects.run(claim.ground, options))
      for (const target of failed) activated.delete(target)
      return failure ? { reason: failure, fleet: policy.onFailure, isAsked: false } : undefined
    },

    async halt({ reason, fleet, isAsked }: Halt): Promise<void> {
      if (tally.touched.size === 0) return steps.end('stopped', `${reason} Nothing was activated.`, isAsked)
      if (fleet === 'stop') return steps.end('stopped', `${reason} Each target stays as it is.`, isAsked)
      return steps.comeBack(reason, [...tally.serves.keys()], isAsked)
    },

    /** The whole fleet on the release that it had; where that is the same one, on it. */
    async comeBack(reason: string, others: readonly string[], isAsked = false): Promise<void> {
      const { ground, current } = claim
      const astray = await bringBack(effects, ground, current, { tally, others })
      if (current === ground.desired.release) {
        const rest = astray ?? 'The rest was done since'
        return steps.end(astray ? 'failed' : 'done', `${reason} ${rest}.`, isAsked)
      }
      const migrated = await context.step('look for migration', async () =>
        migratedSince(await effects.state(), current),
      )
      const database = migrated ? ` The database stays migrated to ${migrated}.` : ''
      const failure = astray ? ` Going back failed too: ${astray}.` : ''
      const outcome = astray || !current ? 'failed' : 'rolled-back'
      await steps.end(outcome, `${reason}${failure}${database}`, isAsked)
    },

    /** Finishes or undoes what an engine that died has left half-way. */
    async recover(): Promise<void> {
      const { online, touchedBefore, lock } = claim
      for (const target of touchedBefore) tally.touched.add(target)
      // Who was not told to switch serves something else, or nothing.
      for (const target of online) tally.serves.set(target, null)
      await steps.comeBack(`The engine ended as ${lock.recovery?.ended} in mid-rollout.`, online)
    },

    /** From here on the release is the fleet's current one, and no cancel is taken any more; one that was is heeded. */
    async serve(): Promise<Halt | undefined> {
      const cancel = await context.step('serve', async () => {
        await changeState((state) =>
          state.lock?.cancel ? state : serveRelease(state, claim.ground.desired, input.token),
        )
        return cancelAsked()
      })
      return haltFor(cancel)
    },

    /** Who came during the rollout catches up to it. */
    async catchUpNewcomers(): Promise<void> {
      const { ground } = claim
      const newcomers = await context.step('list newcomers', async () => {
        const members = await effects.listFleet()
        const online = members.filter((member) => member.online).map(({ target }) => target)
        const elsewhere = online.filter((target) => tally.serves.get(target) !== ground.desired.release)
        return elsewhere.filter((target) => !tally.failed.has(target))
      })
      await effects.run(ground, { name: 'catch up', targets: newcomers, action: 'catch-up' })
    },

    async end(outcome: Outcome, reason?: string, isNobodysFault = false): Promise<void> {
      const { desired } = claim.ground
      const failed = [...tally.failed]
      const hasTouched = tally.touched.size > 0
      const isFailure = outcome !== 'done' && !isNobodysFault && !claim.lock.recovery
      const tolerated = outcome === 'done' && failed.length > 0 ? toleratedFailures(failed) : undefined
      const retirement = await context.step('retire', () => effects.retire())
      await context.step('end', async () => {
        await record((known, now) => endRecord(known, outcome, now, reason ?? tolerated))
        await changeState((state) => {
          const known = isFailure ? failRelease(state, desired.release, hasTouched) : state
          const kept = noteRetirement(known, retirement)
          return endLock({ ...kept, failedTargets: failed }, outcome, hasTouched)
        })
      })
    },
  }
  return steps
}

function haltFor(cancel: Lock['cancel'] | null): Halt | undefined {
  if (!cancel) return undefined
  return { reason: `Cancelled by ${cancel.by}.`, fleet: cancel.revert ? 'revert' : 'stop', isAsked: true }
}
