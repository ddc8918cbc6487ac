import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { signText } from '../lib/cli/ssh-signature.ts'
import type { SignedStatement } from '../lib/release/statement.ts'

/** Somebody with an SSH key. */
export class Signer {
  /** Its private half; the public one is beside it. */
  readonly file: string
  readonly publicKey: string

  constructor(folder: string, type = 'ed25519') {
    this.file = join(folder, `key-${randomBytes(4).toString('hex')}`)
    execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', 'a test', '-f', this.file])
    this.publicKey = readFileSync(`${this.file}.pub`, 'utf8').trim()
  }

  async sign(said: object): Promise<SignedStatement> {
    const statement = JSON.stringify(said)
    return { statement, signature: await signText(statement, this.file) }
  }
}
