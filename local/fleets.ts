import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { writeFileAtomically } from './atomic-file.ts'

export interface FleetScope {
  environment: string
  app: string
}

export interface FleetMember extends FleetScope {
  instanceId: string
}

export interface RunningTarget {
  /** Where its app answers. */
  url: string
  stop(): Promise<void>
  /** As a machine dies: nothing is told that it ends. */
  kill(): Promise<void>
}

export type CloudTarget = FleetMember & RunningTarget

/** Starts a new target, or one that there was before with all that it holds. */
export type StartTarget = (member: FleetMember) => Promise<RunningTarget>

/** The targets of all fleets; who has once been started is started again by the same id. */
export class Fleets {
  readonly #file: string
  readonly #start: StartTarget
  readonly #running: CloudTarget[] = []
  #members: FleetMember[]
  #isStopped = false

  constructor(file: string, start: StartTarget) {
    this.#file = file
    this.#start = start
    this.#members = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  }

  /** Starts those of before; the fleet of some may be gone from the template. */
  async resume(hasFleet: (scope: FleetScope) => boolean): Promise<void> {
    await this.#runAll(this.#members.filter(hasFleet))
  }

  /** Brings a fleet to at least this many targets. */
  async start(scope: FleetScope, count: number): Promise<CloudTarget[]> {
    const isOfFleet = ({ environment, app }: FleetScope) =>
      environment === scope.environment && app === scope.app
    while (this.#members.filter(isOfFleet).length < count) this.#enlist(scope)
    const isRunning = ({ instanceId }: FleetMember) =>
      this.#running.some((target) => target.instanceId === instanceId)
    const asleep = this.#members.filter((member) => isOfFleet(member) && !isRunning(member))
    await this.#runAll(asleep)
    return this.#running.filter(isOfFleet)
  }

  add(scope: FleetScope): Promise<CloudTarget> {
    return this.#run(this.#enlist(scope))
  }

  running(): readonly CloudTarget[] {
    return this.#running
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#running.splice(0).map((target) => target.stop()))
  }

  #enlist({ environment, app }: FleetScope): FleetMember {
    const member = { instanceId: `i-0${randomBytes(8).toString('hex')}`, environment, app }
    this.#members = [...this.#members, member]
    writeFileAtomically(this.#file, `${JSON.stringify(this.#members, null, 1)}\n`)
    return member
  }

  /** Waits for all, also when one fails: those that start later could not be stopped. */
  async #runAll(members: FleetMember[]): Promise<void> {
    const starts = await Promise.allSettled(members.map((member) => this.#run(member)))
    const failed = starts.find((start) => start.status === 'rejected')
    if (failed) throw failed.reason
  }

  async #run(member: FleetMember): Promise<CloudTarget> {
    const { url, stop, kill } = await this.#start(member)
    const target: CloudTarget = {
      ...member,
      url,
      stop: () => this.#without(target, stop),
      kill: () => this.#without(target, kill),
    }
    if (this.#isStopped) await kill()
    else this.#running.push(target)
    return target
  }

  /** Who has ended can be started again. */
  async #without(target: CloudTarget, end: () => Promise<void>): Promise<void> {
    await end()
    const at = this.#running.indexOf(target)
    if (at >= 0) this.#running.splice(at, 1)
  }
}
