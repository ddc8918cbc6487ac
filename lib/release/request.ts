import { z } from 'zod'
import { sha256 } from './digest.ts'
import { NAME_PATTERN, NAME_RULE } from './names.ts'
import { digest } from './release.ts'

export const REQUEST_ID_PATTERN = /^\d{8}t\d{6}z-[0-9a-f]{8}$/

/** What a mistake gets is a sentence that begins with the key. */
const must = (what: string) => ({
  error: ({ input }: { input?: unknown }) => (input === undefined ? 'is missing' : `must be ${what}`),
})

const text = (most: number) => {
  const what = must(`a text of at most ${most} characters`)
  return z.string(what).max(most, what)
}
const name = z.string(must('a name')).regex(NAME_PATTERN, `is not a name: ${NAME_RULE}`)
/** S3 takes keys of at most 1,024 bytes. */
const artifact = z.object({ key: text(1024), digest }, must('an object with key and digest'))

/** `requests/<id>.request`: what somebody asks of an environment. Created once, never overwritten. */
export const request = z.object(
  {
    format: z.literal(1, must('1')),
    id: z.string(must('a text')).regex(REQUEST_ID_PATTERN, 'must be like 20260102t030405z-0a1b2c3d'),
    action: z.enum(['deploy', 'promote'], must('"deploy" or "promote"')),
    environment: name,
    app: name,
    bundle: artifact,
    code: artifact,
    revision: text(200).optional(),
    /** Promote only: the environment whose release is asked for. */
    from: name.optional(),
    requestedBy: text(200),
    requestedAt: z.iso.datetime(must('a time like 2026-01-02T03:04:05Z')),
  },
  { error: 'it must be an object' },
)
export type Request = z.infer<typeof request>

/** `seed` makes the id unique; the same time and seed give the same id, so that a doubled event asks once. */
export function requestId(at: Date, seed: string): string {
  const time = at.toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '').toLowerCase()
  return `${time}-${sha256(seed).slice(0, 8)}`
}
