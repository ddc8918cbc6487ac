import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { SIGNATURE_NAMESPACE } from '../release/statement.ts'
import { withTemporaryFolder } from '../temporary.ts'
import { UserError } from '../user-error.ts'

/** One name for all keys, as targets have it: https://man.openbsd.org/ssh-keygen#ALLOWED_SIGNERS */
const WHO = 'publisher'

/** Signs with OpenSSH: `key` is a private key, or a public one whose other half an agent or a token holds. */
export async function signText(text: string, key: string): Promise<string> {
  // What asks for a passphrase or a touch is for whoever sits there.
  const { failed, stdout, stderr, code } = await execa(
    'ssh-keygen',
    ['-q', '-Y', 'sign', '-f', key, '-n', SIGNATURE_NAMESPACE],
    { input: text, reject: false, stderr: process.stderr.isTTY ? ['pipe', 'inherit'] : 'pipe' },
  )
  if (code === 'ENOENT') throw new UserError(NO_OPENSSH)
  if (!failed) return stdout
  throw new UserError(
    `The request could not be signed with "${key}": ${lastLine(stderr)}. Is it there, and, where it is a public key, the other half beside it or in the agent (ssh-add -l)?`,
  )
}

/** Whether one of these public keys signed the text. */
export function isSignedBy(signers: readonly string[], text: string, signature: string): Promise<boolean> {
  return withTemporaryFolder(async (folder) => {
    const [allowed, signed] = [join(folder, 'signers'), join(folder, 'signature')]
    await writeFile(allowed, signers.map((key) => `${WHO} ${key}\n`).join(''))
    await writeFile(signed, signature)
    const { failed, code } = await execa(
      'ssh-keygen',
      ['-q', '-Y', 'verify', '-f', allowed, '-I', WHO, '-n', SIGNATURE_NAMESPACE, '-s', signed],
      { input: text, reject: false },
    )
    if (code === 'ENOENT') throw new UserError(NO_OPENSSH)
    return !failed
  })
}

/** The public key of one that signs; in CI there may be nothing but the private one. */
export async function publicKeyOf(key: string): Promise<string> {
  const file = key.endsWith('.pub') ? key : `${key}.pub`
  if (existsSync(file)) return (await readFile(file, 'utf8')).trim()
  const { failed, stdout, stderr, code } = await execa('ssh-keygen', ['-y', '-f', key], { reject: false })
  if (code === 'ENOENT') throw new UserError(NO_OPENSSH)
  if (!failed) return stdout.trim()
  throw new UserError(`"${key}", which signing_key names, cannot be read: ${lastLine(stderr)}`)
}

const NO_OPENSSH = 'Requests are signed with ssh-keygen, which is not there: install OpenSSH 8.2 or later.'

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
