import { z } from 'zod'
import { NAME_PATTERN, NAME_RULE } from './names.ts'
import { digest } from './release.ts'
import { REQUEST_ID_PATTERN } from './request-id.ts'
import { signedStatement } from './statement.ts'

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

const time = z.iso.datetime(must('a time like 2026-01-02T03:04:05Z'))
const requestIdText = z
  .string(must('a text'))
  .regex(REQUEST_ID_PATTERN, 'must be like 20260102t030405z-0a1b2c3d')
const yesOrNo = z.boolean(must('true or false'))

const common = {
  format: z.literal(1, must('1')),
  id: requestIdText,
  environment: name,
  app: name,
  requestedBy: text(200),
  requestedAt: time,
}
/** Of what brings a release to a fleet. */
const signed = signedStatement.optional()
const artifacts = { bundle: artifact, code: artifact, revision: text(200).optional(), signed }

const deploy = z.object({ ...common, action: z.literal('deploy'), ...artifacts })
/** The same bytes that another environment runs. */
const promote = z.object({ ...common, action: z.literal('promote'), ...artifacts, from: name })
/** To the good release before the current one. */
const rollback = z.object({
  ...common,
  action: z.literal('rollback'),
  acrossMigrations: yesOrNo.default(false),
  signed,
})
/** The current release again, for whoever serves something else. */
const repair = z.object({ ...common, action: z.literal('repair'), signed })
/** Names the rollout that it means: it is not for the one that may come after it. */
const cancel = z.object({
  ...common,
  action: z.literal('cancel'),
  rollout: requestIdText,
  revert: yesOrNo.default(false),
})
const freeze = z.object({
  ...common,
  action: z.literal('freeze'),
  reason: text(200),
  until: time.optional(),
})
/** Ask the fleet now what it serves. */
const refresh = z.object({ ...common, action: z.literal('refresh') })
const unfreeze = z.object({ ...common, action: z.literal('unfreeze') })
/** A person says of a migration what nobody else can: that it has ended, or never changed anything. */
const confirmMigration = z.object({
  ...common,
  action: z.literal('confirm-migration'),
  rollout: requestIdText,
  ended: yesOrNo,
})

const ACTIONS = [
  deploy,
  promote,
  rollback,
  repair,
  cancel,
  freeze,
  unfreeze,
  confirmMigration,
  refresh,
] as const
const ACTION_NAMES = ACTIONS.map(({ shape }) => shape.action.value)

/** `requests/<id>.request`: what somebody asks of an environment. Created once, never overwritten. */
export const request = z.discriminatedUnion('action', ACTIONS, {
  error: ({ input }) =>
    typeof input !== 'object' || input === null || Array.isArray(input)
      ? 'it must be an object'
      : `must be one of ${ACTION_NAMES.join(', ')}`,
})
export type Request = z.infer<typeof request>
/** Asks for a release by its bytes. */
export type DeployRequest = z.infer<typeof deploy> | z.infer<typeof promote>
/** Starts a rollout. */
export type ReleaseRequest = Exclude<Request, SettingRequest>
/** Starts no rollout but takes effect at once. */
export type SettingRequest = Extract<Request, { action: (typeof SETTINGS)[number] }>

const SETTINGS = ['cancel', 'freeze', 'unfreeze', 'confirm-migration', 'refresh'] as const

export function isSetting(asked: { action?: unknown }): asked is SettingRequest {
  return (SETTINGS as readonly unknown[]).includes(asked.action)
}
