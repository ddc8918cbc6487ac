import ignore from 'ignore'
import type { CodeFile } from './code-file.ts'

/** Files that hold passwords and keys, in .gitignore's patterns. A key in any other file is known by its content. */
const SECRET_FILES = [
  '.env',
  '.env.*',
  '*.env',
  '.envrc',
  '!.env*.example',
  '!.env*.sample',
  '!.env*.template',
  '!.env*.dist',
  '!example.env',
  '!sample.env',
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
  '.htpasswd',
  '.git-credentials',
  '**/.aws/credentials',
  '**/.docker/config.json',
  '**/.streamlit/secrets.toml',
]

const patterns = ignore().add(SECRET_FILES)

/** With what comes first in a key, after line ends as they are or as strings of JSON and Python write them. */
const PRIVATE_KEY =
  /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr]|["'+])*(?:[A-Za-z0-9+/=]{16}|Proc-Type:|Version:|Comment:)/

export function looksSecret({ path, kind, content }: CodeFile): boolean {
  if (kind === 'symlink') return false
  return patterns.ignores(path) || holdsPrivateKey(content)
}

function holdsPrivateKey(content: Buffer): boolean {
  return content.includes('PRIVATE KEY') && PRIVATE_KEY.test(content.toString('latin1'))
}
