import { z } from 'zod'
import { sha256 } from './digest.ts'
import { NAME_PATTERN, NAME_RULE } from './names.ts'
import { digest } from './release.ts'

export const REQUEST_ID_PATTERN = /^\d{8}t\d{6}z-[0-9a-f]{8}$/

const name = z.string().regex(NAME_PATTERN, `is not a name: ${NAME_RULE}`)
/** S3 takes keys of at most 1,024 bytes. */
const artifact = z.object({ key: z.string().max(1024), digest })

/** `requests/<id>.request`: what somebody asks of an environment. Created once, never overwritten. */
export const request = z.object({
  format: z.literal(1),
  id: z.string().regex(REQUEST_ID_PATTERN),
  action: z.enum(['deploy', 'promote']),
  environment: name,
  app: name,
  bundle: artifact,
  code: artifact,
  revision: z.string().max(200).optional(),
  /** Promote only: the environment whose release is asked for. */
  from: name.optional(),
  requestedBy: z.string().max(200),
  requestedAt: z.iso.datetime(),
})
export type Request = z.infer<typeof request>

/** `seed` makes the id unique; the same time and seed give the same id, so that a doubled event asks once. */
export function requestId(at: Date, seed: string): string {
  const time = at.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '').toLowerCase()
  return `${time}-${sha256(seed).slice(0, 8)}`
}
