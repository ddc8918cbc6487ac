import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { writeFileAtomically } from './lambda/atomic-file.ts'

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

  constructor(file: string, start: StartTarget) {
    this.#file = file
    this.#start = start
    this.#members = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  }

  /** Brings a fleet to at least this many targets. */
  async start(scope: FleetScope, count: number): Promise<CloudTarget[]> {
    const isOfFleet = ({ environment, app }: FleetScope) =>
      environment === scope.environment && app === scope.app
    while (this.#members.filter(isOfFleet).length < count) this.#enlist(scope)
    const runs = (id: string) => this.#running.some(({ instanceId }) => instanceId === id)
    const asleep = this.#members.filter(isOfFleet).filter(({ instanceId }) => !runs(instanceId))
    await Promise.all(asleep.map((member) => this.#run(member)))
    return this.#running.filter(isOfFleet)
  }

  add(scope: FleetScope): Promise<CloudTarget> {
    return this.#run(this.#enlist(scope))
  }

  running(): readonly CloudTarget[] {
    return this.#running
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((target) => target.stop()))
  }

  #enlist({ environment, app }: FleetScope): FleetMember {
    const member = { instanceId: `i-0${randomBytes(8).toString('hex')}`, environment, app }
    this.#members = [...this.#members, member]
    writeFileAtomically(this.#file, `${JSON.stringify(this.#members, null, 1)}\n`)
    return member
  }

  async #run(member: FleetMember): Promise<CloudTarget> {
    const { url, stop, kill } = await this.#start(member)
    const target = { ...member, url, stop, kill }
    this.#running.push(target)
    return target
  }
}
