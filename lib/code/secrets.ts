import ignore from 'ignore'
import { UserError } from '../user-error.ts'
import type { CodeFile } from './code-file.ts'

/** Files that hold passwords and keys, in .gitignore's patterns. A key in any other file is known by its first line. */
const SECRET_FILES = [
  '.env',
  '.env.*',
  '*.env',
  '!.env.example',
  '!.env.sample',
  '!.env.template',
  '!.env.dist',
  'id_rsa',
  'id_dsa',
  'id_ecdsa',
  'id_ed25519',
  '*.p12',
  '*.pfx',
  '*.jks',
  '*.keystore',
  '*.kdbx',
  '*.ppk',
  '.netrc',
  '_netrc',
  '.pgpass',
  '.my.cnf',
  '.pypirc',
  '.git-credentials',
  '.aws/credentials',
  '.docker/config.json',
]

const PRIVATE_KEY = /^-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s*$/m

const patterns = ignore().add(SECRET_FILES)

export function looksSecret({ path, kind, content }: CodeFile): boolean {
  if (kind === 'symlink') return false
  return patterns.ignores(path) || PRIVATE_KEY.test(content.toString('latin1'))
}

/** All at once. */
export function refuseSecrets(paths: readonly string[], configuration: string): void {
  if (paths.length === 0) return
  const shown = paths.slice(0, 10).map((path) => `  ${path}`)
  const more = paths.length > shown.length ? [`  and ${paths.length - shown.length} more`] : []
  const [first = ''] = paths
  throw new UserError(
    [
      'passwords or private keys would be published with the code:',
      ...shown,
      ...more,
      `Leave them out with "exclude" in ${configuration}; what is none, or is meant to be there, name in "include_secrets" (include_secrets = [${JSON.stringify(`/${first}`)}]).`,
    ].join('\n'),
  )
}
