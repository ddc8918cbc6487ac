import { chmodSync } from 'node:fs'
import { writeFileAtomically } from './atomic-file.ts'

/** For a shell to read: `. .local/env`. */
export function writeShellExports(file: string, env: Record<string, string>): void {
  const exports = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`)
  // A token would be sent along with the key, and a profile's own settings be preferred.
  writeFileAtomically(file, `${exports.join('')}unset AWS_SESSION_TOKEN AWS_PROFILE\n`)
  chmodSync(file, 0o600)
}
