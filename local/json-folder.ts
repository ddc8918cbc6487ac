import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from './atomic-file.ts'

/** Values by id, in memory and as one JSON file each; read back when the local cloud starts again. */
export class JsonFolder<T> {
  readonly #directory: string
  readonly #values = new Map<string, T>()

  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true })
    for (const name of readdirSync(directory)) {
      if (!name.endsWith('.json')) continue
      const id = decodeURIComponent(name.slice(0, -'.json'.length))
      this.#values.set(id, JSON.parse(readFileSync(join(directory, name), 'utf8')))
    }
  }

  get(id: string): T | undefined {
    return this.#values.get(id)
  }

  all(): T[] {
    return [...this.#values.values()]
  }

  put(id: string, value: T): void {
    this.#values.set(id, value)
    writeFileAtomically(this.#file(id), JSON.stringify(value))
  }

  delete(id: string): void {
    this.#values.delete(id)
    rmSync(this.#file(id), { force: true })
  }

  #file(id: string): string {
    return join(this.#directory, `${encodeURIComponent(id)}.json`)
  }
}
