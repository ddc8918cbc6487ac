import type { Platform } from '../platform.ts'
import { elfNeeds, whyElfUnfit } from './elf.ts'

/** Watches the native files of one wheel pass by. A tag is a promise; what a file needs is in the file. */
export class NativeFiles {
  readonly #platform: Platform
  readonly #isForAny: boolean
  readonly #ofOtherMachines: string[] = []
  readonly #unfit: string[] = []
  #fitting = 0

  constructor(file: string, platform: Platform) {
    this.#platform = platform
    this.#isForAny = file.endsWith('-any.whl')
  }

  visit(name: string, content: Buffer): void {
    const needs = elfNeeds(content)
    const why = needs && whyElfUnfit(needs, this.#platform)
    if (!why) this.#fitting += needs ? 1 : 0
    else if (needs.machine !== this.#platform.machine) this.#ofOtherMachines.push(`"${name}" ${why}`)
    else this.#unfit.push(`"${name}" ${why}`)
  }

  /**
   * A wheel may bring its files for several CPUs, and one for any machine may carry some for a few (debugpy does); one that
   * is tagged for this CPU is of no use without a file for it.
   */
  get mistakes(): string[] {
    const doesWithout = this.#fitting > 0 || this.#isForAny
    return [...this.#unfit, ...(doesWithout ? [] : this.#ofOtherMachines)].slice(0, SHOWN)
  }
}

const SHOWN = 3
