import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../user-error.ts'

/** The SDK would look for credentials elsewhere, find none, and not say of which profile. */
export function refuseUnknownProfile(
  profile: string | undefined,
  { AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE } = process.env,
): void {
  const name = profile || AWS_PROFILE
  if (!name || name === 'default') return
  const files = [
    AWS_CONFIG_FILE || join(homedir(), '.aws/config'),
    AWS_SHARED_CREDENTIALS_FILE || join(homedir(), '.aws/credentials'),
  ]
  const known = new Set(files.flatMap(profilesIn))
  if (known.has(name)) return
  const hint = known.size > 0 ? `they have ${[...known].join(', ')}` : 'aws configure makes one'
  throw new UserError(`no AWS profile "${name}" in ${files.join(' or ')}: ${hint}.`)
}

/** Sections are `[profile NAME]` in one of the files, `[NAME]` in the other. */
function profilesIn(file: string): string[] {
  const sections = /^\s*\[\s*(?:profile\s+)?(["']?)([^\]"'\s]+)\1\s*\]/gm
  return [...textOf(file).matchAll(sections)].map(([, , name = '']) => name)
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
