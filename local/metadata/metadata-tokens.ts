import { randomBytes } from 'node:crypto'

const LONGEST_SECONDS = 21_600

/** Session tokens of IMDSv2; each is good until its own end. */
export class MetadataTokens {
  readonly #expiries = new Map<string, number>()

  /** Undefined for a lifetime that EC2 would not give. */
  issue(seconds: number): string | undefined {
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > LONGEST_SECONDS) return undefined
    const token = randomBytes(40).toString('base64')
    this.#expiries.set(token, Date.now() + seconds * 1000)
    return token
  }

  isValid(token: string | string[] | undefined): boolean {
    const now = Date.now()
    for (const [known, expiry] of this.#expiries) {
      if (expiry <= now) this.#expiries.delete(known)
    }
    return typeof token === 'string' && this.#expiries.has(token)
  }
}
