import { elfNeeds, whyElfUnfit } from './elf.ts'
import type { Platform } from './platform.ts'

/** Watches the native files of one wheel pass by. A tag is a promise; what a file needs is in the file. */
export class NativeFiles {
  readonly #platform: Platform
  readonly #ofOtherMachines: string[] = []
  readonly #unfit: string[] = []
  #fitting = 0

  constructor(platform: Platform) {
    this.#platform = platform
  }

  visit(name: string, content: Buffer): void {
    const needs = elfNeeds(content)
    const why = needs && whyElfUnfit(needs, this.#platform)
    if (!why) this.#fitting += needs ? 1 : 0
    else if (needs.machine !== this.#platform.machine) this.#ofOtherMachines.push(`"${name}" ${why}`)
    else this.#unfit.push(`"${name}" ${why}`)
  }

  /** A wheel may bring its files for several CPUs; without one for this one it is of no use. */
  get mistakes(): string[] {
    return [...this.#unfit, ...(this.#fitting > 0 ? [] : this.#ofOtherMachines)].slice(0, SHOWN)
  }
}

const SHOWN = 3
