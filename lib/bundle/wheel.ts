import { basename } from 'node:path'
import { describePlatform, type Platform } from './platform.ts'
import { wheelTags } from './tags.ts'

/** What a wheel's file name says (PEP 427). */
export interface WheelName {
  /** Normalized: lower case, one "-" between words. */
  name: string
  version: string
  /** `py3-none-any`; several when the name compresses them. */
  tags: string[]
}

/** Build tags are passed over. A target takes no other characters. */
const WHEEL_NAME = /^([\w.]+)-([\w.!+]+)(?:-\d[\w.]*)?-([\w.]+)-([\w.]+)-([\w.]+)\.whl$/

export function parseWheelName(file: string): WheelName | undefined {
  const parts = basename(file).match(WHEEL_NAME)
  if (!parts) return undefined
  const [, name = '', version = '', pythons = '', abis = '', platforms = ''] = parts
  const tags = pythons
    .split('.')
    .flatMap((python) =>
      abis
        .split('.')
        .flatMap((abi) => platforms.split('.').map((platform) => `${python}-${abi}-${platform}`)),
    )
  return { name: normalizeName(name), version: version.replaceAll('_', '-'), tags }
}

/** PEP 503 */
export function normalizeName(name: string): string {
  return name.replace(/[-_.]+/g, '-').toLowerCase()
}

/** Why the file cannot be installed on the platform; undefined when it can. */
export function whyUnfit(file: string, platform: Platform): string | undefined {
  const wheel = parseWheelName(file)
  if (!wheel) return `"${basename(file)}" is not a wheel, and a target must not have to build one`
  const accepted = wheelTags(platform)
  if (wheel.tags.some((tag) => accepted.has(tag))) return undefined
  return `"${basename(file)}" is for ${wheel.tags.join(', ')}, not for ${describePlatform(platform)}`
}
