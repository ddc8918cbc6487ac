import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { ALL_QUIET, isUnsure } from '../lib/release/alarms.ts'
import { allowedFailures, type WaveSize } from '../lib/release/fleet.ts'
import { silentAgents } from '../lib/release/reasons.ts'
import type { End } from '../lib/release/record.ts'
import type { RolloutEvent } from '../lib/release/rollout-event.ts'
import { serveRelease } from '../lib/release/state.ts'
import { Tally } from '../lib/release/tally.ts'
import { type Claim, claimRollout, type Refusal } from './claim-rollout.ts'
import { type Ending, endRollout, type Halt, haltFor, haltRollout, recoverRollout } from './end-rollout.ts'
import { lookAway } from './look-at-alarms.ts'
import { migrateOnce } from './migrate-once.ts'
import { type RolloutInput, rolloutEffects } from './rollout-effects.ts'
import { watchBake } from './watch-bake.ts'

export type { RolloutInput } from './rollout-effects.ts'

export interface Plan {
  refusal?: Refusal
  isRecovery: boolean
  waves: WaveSize[]
}

/** The rollout's effects, each a durable step: what it did is kept, and done again it changes nothing. */
export function rolloutSteps(input: RolloutInput, context: DurableContext) {
  const effects = rolloutEffects(input, context)
  const { policy, changeState } = effects
  const tally = new Tally()
  let claim: Claim

  const ending = (): Ending => ({ context, effects, claim, tally })

  const cancelAsked = async () => (await effects.state()).lock?.cancel ?? null

  const alarms = () => (claim.watchesAlarms ? effects.lookAtAlarms : lookAway)

  const ill = (reason: string): Halt => ({ reason, fleet: policy.onFailure, isAsked: false })

  /** What somebody asks for, or an alarm that rings, before anything more is touched. */
  const heed = async (when: string): Promise<Halt | undefined> => {
    const { cancel, seen } = await context.step(`heed ${when}`, async () => ({
      cancel: await cancelAsked(),
      seen: await alarms()(ALL_QUIET),
    }))
    if (!cancel && isUnsure(seen)) return watch(`alarms ${when}`, 0)
    return haltFor(cancel) ?? (seen.ringing ? ill(seen.ringing) : undefined)
  }

  const watch = async (name: string, bakeSeconds: number): Promise<Halt | undefined> => {
    const { cancel, ringing } = await watchBake(context, {
      name,
      bakeSeconds,
      cancelAsked,
      lookAtAlarms: alarms(),
    })
    return haltFor(cancel) ?? (ringing ? ill(ringing) : undefined)
  }

  /** Told once, but for a step that is done again. */
  const tell = (event: Pick<RolloutEvent, 'status'> & Partial<RolloutEvent>) => {
    const name = ['tell', event.status, event.wave].filter(Boolean).join(' ')
    context.logger.info('The rollout has come on.', { ...event })
    return context.step(name, () => effects.tell({ ...claim.about, ...event }))
  }

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
      if (!claimed) {
        context.logger.warn('The lock belongs to another execution: nothing was done.')
        return undefined
      }
      claim = claimed
      const { online, silent, lock } = claim
      effects.logWith({ release: claim.ground.desired.release })
      context.logger.info('The rollout has begun.', {
        online: online.length,
        silent,
        recovery: lock.recovery,
      })
      for (const target of claim.silent) tally.failed.add(target)
      // However this one ends: somebody may serve what the dead engine told him to.
      for (const target of claim.touchedBefore) tally.touched.add(target)
      const isRecovery = claim.lock.recovery !== undefined
      return { waves: policy.waves, isRecovery, ...(claim.refusal && { refusal: claim.refusal }) }
    },

    refuse: ({ outcome, reason }: Refusal) => endRollout(ending(), outcome, { reason, isNobodysFault: true }),

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
      if (prepared.length === 0) return { prepared, failure: 'No target could be prepared.' }
      await tell({ status: 'prepared', targets: prepared.length, failed: tally.failed.size })
      return { prepared }
    },

    async migrate(prepared: readonly string[]): Promise<{ failure?: string; halt?: Halt }> {
      const halt = await heed('before migration')
      if (halt) return { halt }
      const { isRollback, isRepair } = claim.lock
      if (isRollback || isRepair) return {}
      const ended = await migrateOnce({ context, effects, input, ground: claim.ground }, prepared)
      if (!ended.failure) await tell({ status: 'migrated' })
      return ended
    },

    /** Who does not serve the release yet. */
    toActivate: (prepared: readonly string[]) => tally.elsewhere(prepared, claim.ground.desired.release),

    /** Switches a wave and watches it; gives the reason when the rollout may not go on. */
    async activate(wave: number, targets: readonly string[], isLast: boolean): Promise<Halt | undefined> {
      const halt = await heed(`wave ${wave}`)
      if (halt) return halt
      const { touched, activated } = tally
      const limits = activationLimits(isLast && activated.size === 0)
      for (const target of targets) touched.add(target)
      const options = { name: `wave ${wave}`, targets, action: 'activate' as const, limits, alarms: alarms() }
      const result = tally.note(await effects.run(claim.ground, options))
      for (const target of result.succeeded) activated.add(target)
      if (result.failure) return ill(result.failure)
      if (isLast && activated.size === 0)
        return { reason: 'No target is left that was activated.', fleet: 'revert', isAsked: false }
      await tell({
        status: 'wave-activated',
        wave,
        targets: result.succeeded.length,
        failed: tally.failed.size,
      })
      return policy.bakeSeconds > 0 ? steps.bake(wave, result.succeeded, isLast) : undefined
    },

    async bake(wave: number, targets: readonly string[], isLast: boolean): Promise<Halt | undefined> {
      const halt =
        (await watch(`bake ${wave}`, policy.bakeSeconds)) ?? (await steps.check(wave, targets, isLast))
      if (halt) return halt
      const healthy = targets.filter((target) => tally.activated.has(target)).length
      await tell({ status: 'wave-baked', wave, targets: healthy, failed: tally.failed.size })
    },

    /** Who was healthy when it switched may not be so after a while. */
    async check(wave: number, targets: readonly string[], isLast: boolean): Promise<Halt | undefined> {
      const { activated } = tally
      const limits = activationLimits(isLast && activated.size === targets.length)
      const options = { name: `check ${wave}`, targets, action: 'check' as const, limits, alarms: alarms() }
      const { failure, failed } = tally.note(await effects.run(claim.ground, options))
      for (const target of failed) activated.delete(target)
      return failure ? ill(failure) : undefined
    },

    halt: (halt: Halt) => haltRollout(ending(), halt),

    recover: () => recoverRollout(ending()),

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

    end: (outcome: End, reason?: string) => endRollout(ending(), outcome, { reason }),
  }
  return steps
}
