import type { ServedRelease, State } from '../../lib/release/state.ts'
import type { Verdict } from '../../lib/release/verdict.ts'

/** What a target is told, as the document's parameters say it. */
export interface Told {
  action: string
  release: string
  token: number
  rollout: string
}

export interface Done extends Told {
  at: string
  outcome: Verdict['outcome']
  reason: string
}

/** The one database of a fleet: who migrated it, when. */
export interface Migration {
  rollout: string
  release: string
  target: string
  beganAt: number
  endedAt?: number
}

/** How the app of a release behaves, whatever target runs it. */
export interface Behaviour {
  /** Of the migration; none where it is absent. */
  migrateSeconds?: number
  migrateFails?: boolean
  /** The hook around the migration that fails. */
  migrateHookFails?: 'before_migrate' | 'after_migrate'
  unhealthy?: boolean
}

export interface Surroundings {
  database: Migration[]
  behaviour(release: string): Behaviour
  readState(): Promise<State>
  /** Resolves after virtual seconds; rejects when the target dies before. */
  work(seconds: number): Promise<void>
}

type Decided = Pick<Verdict, 'outcome' | 'migration'> & { reason: string }

/** Seconds that each takes; a test may make a target slow. */
const SECONDS = {
  prepare: 4,
  activate: 2,
  check: 1,
  revert: 2,
  migrate: 1,
  'catch-up': 4,
  status: 1,
  prune: 1,
}

/**
 * A target without a process: it decides as `target/pybundle_target.py` does (tokens, its own revert, one
 * migration a rollout) about names of releases instead of files.
 */
export class SimulatedTarget {
  readonly id: string
  readonly seconds: Record<string, number> = { ...SECONDS }
  /** Whatever it is told of this action fails, with this reason. */
  readonly fails: Partial<Record<string, string>> = {}
  readonly unhealthy = new Set<string>()
  readonly done: Done[] = []
  readonly prepared = new Set<string>()
  current: string | null = null
  isProven = true
  good: string[] = []
  token = 0
  readonly migrations = new Map<
    string,
    Migration & { status: 'running' | 'done' | 'failed' | 'interrupted' }
  >()
  #surroundings: Surroundings
  #lock: Promise<unknown> = Promise.resolve()

  constructor(id: string, surroundings: Surroundings) {
    this.id = id
    this.#surroundings = surroundings
  }

  /** One command at a time, as the lock of the machine wants it. */
  run(told: Told): Promise<Verdict> {
    // A status takes no lock.
    if (told.action === 'status') return this.#run(told)
    const turn = this.#lock.then(() => this.#run(told))
    this.#lock = turn.catch(() => {})
    return turn
  }

  /** It is switched on again: what it was doing is lost, what it had done is not. */
  revive(surroundings: Surroundings): void {
    this.#lock = Promise.resolve()
    this.#surroundings = surroundings
  }

  async #run(told: Told): Promise<Verdict> {
    const decided = await this.#decide(told)
    const { outcome, reason } = decided
    this.done.push({ ...told, at: new Date().toISOString(), outcome, reason })
    return { action: told.action, ...decided, current: this.current, phases: {} }
  }

  async #decide(told: Told): Promise<Decided> {
    if (!['catch-up', 'status'].includes(told.action) && told.token < this.token) {
      return { outcome: 'refused', reason: `token ${told.token} is older than ${this.token}` }
    }
    this.token = Math.max(this.token, told.token)
    const failure = this.fails[told.action]
    if (failure) {
      await this.#work(told.action)
      return { outcome: 'failed', reason: failure }
    }
    switch (told.action) {
      case 'prepare':
        if (!this.prepared.has(told.release)) await this.#work('prepare')
        this.prepared.add(told.release)
        return done('prepared')
      case 'migrate':
        return this.#migrate(told)
      case 'activate':
        if (!(await this.#isCurrent(told))) return { outcome: 'refused', reason: 'its rollout is over' }
        return this.#activate(told.release)
      case 'status':
        await this.#work('status')
        return { ...done(''), ...this.#standing(told.rollout) }
      case 'check':
        await this.#work('check')
        return this.current === told.release && !this.#isUnhealthy(told.release)
          ? done('is still healthy')
          : { outcome: 'failed', reason: 'not healthy any more' }
      case 'revert':
        if (this.current !== told.release) return done('does not serve it')
        return this.#goBack(told.release)
      case 'catch-up':
        return this.#catchUp(told)
      default:
        return done('')
    }
  }

  async #activate(release: string): Promise<Decided> {
    if (this.current === release && this.isProven) return done('was active already')
    if (!this.prepared.has(release)) return { outcome: 'failed', reason: `${release} is not prepared` }
    await this.#serve(release)
    if (!this.#isUnhealthy(release)) return done('active')
    const back = await this.#goBack(release)
    return back.outcome === 'done' && this.current
      ? { outcome: 'reverted', reason: 'not healthy' }
      : { outcome: 'failed', reason: 'not healthy; there is no release to go back to' }
  }

  async #serve(release: string): Promise<void> {
    this.current = release
    this.isProven = false
    await this.#work('activate')
    if (this.#isUnhealthy(release)) return
    this.isProven = true
    this.good = [release, ...this.good.filter((good) => good !== release)]
  }

  async #goBack(release: string): Promise<Decided> {
    this.good = this.good.filter((good) => good !== release)
    const [previous] = this.good
    if (previous) await this.#serve(previous)
    else this.current = null
    this.isProven = true
    return done(`serves ${previous ?? 'nothing'} again`)
  }

  async #migrate({ rollout, release, token }: Told): Promise<Decided> {
    if (!(await this.#isCurrent({ token }))) return { outcome: 'refused', reason: 'its rollout is over' }
    const { migrateSeconds, migrateHookFails } = this.#surroundings.behaviour(release)
    const hookFailed = { outcome: 'failed', reason: `${migrateHookFails} failed with exit code 1` } as const
    const known = this.migrations.get(rollout)
    if (!known) {
      const running = [...this.migrations.values()].find(({ status }) => status === 'running')
      if (running) {
        const reason = `the migration of rollout ${running.rollout} is still running here`
        return { outcome: 'refused', reason, migration: 'running' }
      }
      if (migrateSeconds === undefined) return { ...done('the app has no migration'), migration: 'none' }
      if (migrateHookFails === 'before_migrate') return { ...hookFailed, migration: 'none' }
      void this.#runMigration(rollout, release, migrateSeconds)
    }
    await this.#work('migrate')
    const { status } = this.migrations.get(rollout) ?? { status: 'running' }
    if (status === 'done' && migrateHookFails) return { ...hookFailed, migration: 'ended' }
    if (status === 'done') return { ...done('migrated'), migration: 'ended' }
    if (status === 'failed') {
      return { outcome: 'failed', reason: 'migrate_command failed with exit code 1', migration: status }
    }
    if (status === 'interrupted') {
      const reason = 'the migration was interrupted: find out how far it came before going on'
      return { outcome: 'failed', reason, migration: status }
    }
    return { outcome: 'running', reason: 'the migration runs', migration: 'running' }
  }

  #standing(rollout: string): Pick<Decided, 'migration'> {
    const known = this.migrations.get(rollout)
    return known ? { migration: known.status === 'done' ? 'ended' : known.status } : {}
  }

  /** Detached: neither the command nor the engine matters to it any more. */
  async #runMigration(rollout: string, release: string, seconds: number): Promise<void> {
    const migration = { rollout, release, target: this.id, beganAt: Date.now(), status: 'running' as const }
    this.migrations.set(rollout, migration)
    const inDatabase: Migration = { rollout, release, target: this.id, beganAt: Date.now() }
    this.#surroundings.database.push(inDatabase)
    try {
      await this.#surroundings.work(seconds)
      const status = this.#surroundings.behaviour(release).migrateFails ? 'failed' : 'done'
      this.migrations.set(rollout, { ...migration, status })
    } catch {
      this.migrations.set(rollout, { ...migration, status: 'interrupted' })
    }
    inDatabase.endedAt = Date.now()
  }

  async #catchUp({ rollout, token }: Told): Promise<Decided> {
    for (;;) {
      const { current, lock, inBetween } = await this.#surroundings.readState()
      if (!current) return done('the environment has no current release yet')
      if (lock && lock.token === this.token && !rollout) return done('left to the rollout')
      if (inBetween === 'stopped' && this.current && !rollout) return done('left as it is')
      if (this.#serves(current)) return done('serves the current release')
      if (!this.prepared.has(current.release)) await this.#work('prepare')
      this.prepared.add(current.release)
      const activated = await this.#activate(current.release)
      if (activated.outcome !== 'done') return activated
      this.token = Math.max(this.token, token)
    }
  }

  #serves({ release }: ServedRelease): boolean {
    return this.current === release && this.isProven
  }

  async #isCurrent({ token }: Pick<Told, 'token'>): Promise<boolean> {
    return (await this.#surroundings.readState()).lock?.token === token
  }

  #isUnhealthy(release: string): boolean {
    return this.unhealthy.has(release) || (this.#surroundings.behaviour(release).unhealthy ?? false)
  }

  #work(action: string): Promise<void> {
    return this.#surroundings.work(this.seconds[action] ?? 1)
  }
}

const done = (reason: string) => ({ outcome: 'done' as const, reason })
