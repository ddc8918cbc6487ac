import { sha256 } from './digest.ts'

export const REQUEST_ID_PATTERN = /^\d{8}t\d{6}z-[0-9a-f]{8}$/

/** `seed` makes the id unique; the same time and seed give the same id, so that a doubled event asks once. */
export function requestId(at: Date, seed: string): string {
  const time = at.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '').toLowerCase()
  return `${time}-${sha256(seed).slice(0, 8)}`
}
