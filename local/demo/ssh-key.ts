import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { SIGNATURE_NAMESPACE, type SignedStatement } from '../../lib/release/statement.ts'
import { UserError } from '../../lib/user-error.ts'

/** Somebody's SSH key, used with nothing but OpenSSH. */
export class SshKey {
  readonly file: string
  readonly publicKey: string

  private constructor(file: string, publicKey: string) {
    this.file = file
    this.publicKey = publicKey
  }

  static async make(folder: string, owner: string): Promise<SshKey> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const file = join(folder, owner)
    const options = ['-q', '-t', 'ed25519', '-N', '', '-C', `${owner}@example.com`, '-f', file]
    const { code, failed, stderr } = await execa('ssh-keygen', options, { reject: false })
    if (code === 'ENOENT')
      throw new UserError(
        'The demo signs what goes to production: it needs ssh-keygen on the PATH. Install OpenSSH.',
      )
    if (failed) throw new UserError(`ssh-keygen made no key for the demo: ${stderr}`)
    return new SshKey(file, (await readFile(`${file}.pub`, 'utf8')).trim())
  }

  async sign(said: object): Promise<SignedStatement> {
    const statement = JSON.stringify(said)
    const command = ['-q', '-Y', 'sign', '-f', this.file, '-n', SIGNATURE_NAMESPACE]
    const { stdout: signature } = await execa('ssh-keygen', command, { input: statement })
    return { statement, signature }
  }
}

const UNSIGNED = 'signers = "off"'

/** The operator's `fleets.toml`, with production's signer in it. */
export function withSigner(fleets: string, { publicKey }: SshKey): string {
  const [before, production] = fleets.split(/(?=^\[environments\.production\.)/m)
  if (!production?.includes(UNSIGNED))
    throw new UserError(
      `There is no production with ${UNSIGNED} in fleets.toml, whose signer could be named.`,
    )
  return before + production.replace(UNSIGNED, `signers = ["${publicKey}"]`)
}

/** Names the key in the app's configuration for production. */
export async function nameSigningKey(app: string, { file: key }: Pick<SshKey, 'file'>): Promise<void> {
  const file = join(app, 'pyproject.toml')
  const table = '[tool.pybundle.environments.production]\n'
  const configuration = await readFile(file, 'utf8')
  if (!configuration.includes(table)) throw new UserError(`${file} has no ${table}`)
  await writeFile(file, configuration.replace(table, `${table}signing_key = "${key}"\n`))
}
