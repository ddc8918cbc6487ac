import { JsonFolder } from '../json-folder.ts'

export interface Instance {
  instanceId: string
  tags: Record<string, string>
  /** Absent until its agent has said a first word. */
  agent?: {
    version: string
    platformType: string
    platformName: string
    platformVersion: string
    ipAddress: string
    computerName: string
  }
  /** As EC2 has it; a terminated one is not known any more. */
  state?: 'running' | 'stopped'
  lastPingAt?: string
}

export interface Target {
  Key?: string | undefined
  Values?: string[] | undefined
}

/** What EC2 and the agents tell about a fleet: tags, and who has been heard of lately. */
export class Instances {
  readonly #known: JsonFolder<Instance>
  readonly #heardOf = new Map<string, number>()
  readonly #lostAfterMs: number

  constructor(directory: string, lostAfterSeconds: number) {
    this.#known = new JsonFolder(directory)
    this.#lostAfterMs = lostAfterSeconds * 1000
  }

  register(instanceId: string, tags: Record<string, string>): void {
    const known = this.#known.get(instanceId)
    this.#known.put(instanceId, { ...known, instanceId, tags, state: 'running' })
  }

  stop(instanceId: string): void {
    const known = this.#known.get(instanceId)
    if (known) this.#known.put(instanceId, { ...known, state: 'stopped' })
    this.lose(instanceId)
  }

  /** Its agent has fallen silent. */
  lose(instanceId: string): void {
    this.#heardOf.delete(instanceId)
  }

  terminate(instanceId: string): void {
    this.#known.delete(instanceId)
    this.#heardOf.delete(instanceId)
  }

  introduce(instanceId: string, agent: NonNullable<Instance['agent']>): void {
    const known = this.#known.get(instanceId)
    if (!known) return
    this.#known.put(instanceId, { ...known, agent, lastPingAt: new Date().toISOString() })
    this.hear(instanceId)
  }

  hear(instanceId: string): void {
    this.#heardOf.set(instanceId, Date.now())
  }

  get(instanceId: string): Instance | undefined {
    return this.#known.get(instanceId)
  }

  isOnline(instanceId: string): boolean {
    return Date.now() - (this.#heardOf.get(instanceId) ?? 0) < this.#lostAfterMs
  }

  /** Those whose agent has registered, as SSM lists them. */
  managed(): Instance[] {
    return this.#known.all().filter(({ agent }) => agent)
  }

  matching(targets: readonly Target[]): Instance[] {
    return this.managed().filter((instance) => matchesAll(instance, targets))
  }
}

/** All keys must match, each with any of its values. */
export function matchesAll({ instanceId, tags }: Instance, targets: readonly Target[]): boolean {
  return targets.every(({ Key = '', Values = [] }) => {
    if (Key === 'InstanceIds') return Values.includes(instanceId) || Values.includes('*')
    if (Key === 'tag-key') return Values.some((value) => value in tags)
    const value = tags[Key.replace(/^tag:/, '')]
    return Key.startsWith('tag:') && value !== undefined && Values.includes(value)
  })
}
