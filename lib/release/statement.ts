import { z } from 'zod'
import { NAME_PATTERN } from './names.ts'
import { digest } from './release.ts'
import { REQUEST_ID_PATTERN } from './request-id.ts'

/** What `ssh-keygen -Y` binds a signature to: one that was made for anything else is none of ours. */
export const SIGNATURE_NAMESPACE = 'pybundle-deploy'

const name = z.string().regex(NAME_PATTERN)

/** What a publisher signs: these bytes, in this environment, now. Targets hold what they are told against it. */
export const statement = z.object({
  format: z.literal(1),
  action: z.enum(['deploy', 'promote', 'rollback', 'repair']),
  /** The id of the request that it is good for. */
  request: z.string().regex(REQUEST_ID_PATTERN),
  /** Two stacks may have environments and apps of the same names. */
  bucket: z.string(),
  environment: name,
  app: name,
  bundle: digest,
  code: digest,
  /** Milliseconds since 1970, or one more than that of what it comes after: a target goes to no lower one. */
  serial: z.number().int().positive(),
  /** The serial of what ran when it was signed, to which a fleet may go back. */
  replaces: z.number().int().nonnegative(),
})
export type Statement = z.infer<typeof statement>

/** A statement as it was signed, to the byte, and its signature as `ssh-keygen -Y sign` makes it. */
export const signedStatement = z.object({
  statement: z.string().max(4_000),
  signature: z.string().max(16_000),
})
export type SignedStatement = z.infer<typeof signedStatement>

/** What is said to be signed; undefined when it is no statement. Nothing is verified by this. */
export function readStatement({ statement: text }: SignedStatement): Statement | undefined {
  try {
    return statement.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

const AHEAD_MS = 3_600_000

/** Publishers' clocks disagree; targets take none that is more than an hour ahead, which would shut out all others. */
export function nextSerial(now: number, replaces: number): number | undefined {
  return replaces > now + AHEAD_MS ? undefined : Math.max(now, replaces + 1)
}
