import type { ObjectStore } from '../lib/aws/object-store.ts'
import {
  type AppScope,
  idOfKey,
  requestKey,
  requestsPrefix,
  rolloutKey,
  rolloutsPrefix,
} from '../lib/release/keys.ts'
import type { WaitingRequest } from '../lib/release/next-request.ts'
import { closedRecord, type End, type RolloutRecord } from '../lib/release/record.ts'
import { isSetting, type Request, request as requestSchema } from '../lib/release/request.ts'
import { UserError } from '../lib/user-error.ts'

/** Those without a rollout record: nobody has taken them up. */
export async function waitingRequests(store: ObjectStore, scope: AppScope): Promise<WaitingRequest[]> {
  const [requests, records] = await Promise.all([
    store.list(requestsPrefix(scope)),
    store.list(rolloutsPrefix(scope)),
  ])
  const consumed = new Set(records.map(({ key }) => idOfKey(key)))
  const waiting = requests
    .map(({ key, lastModified }) => ({ id: idOfKey(key), storedAt: lastModified }))
    .filter(({ id }) => !consumed.has(id))
  return Promise.all(
    waiting.map(async (request) => {
      const asked = parseJson(await readAsked(store, requestKey(scope, request.id)))
      return { ...request, isSetting: isSetting(Object(asked)) }
    }),
  )
}

const WRITERS = 'Requests are written by pybundle publish-release, promote and the like.'

/** What somebody wrote may be anything: what is no request is a UserError. */
export async function readRequest(store: ObjectStore, scope: AppScope, id: string): Promise<Request> {
  const key = requestKey(scope, id)
  const content = parseJson(await readAsked(store, key))
  if (content === undefined)
    throw new UserError(
      `"${key}" is not a request: it is not JSON, or more than ${MOST_BYTES} bytes. ${WRITERS}`,
    )
  const parsed = requestSchema.safeParse(content)
  if (!parsed.success) {
    const mistakes = parsed.error.issues.map(({ path, message }) =>
      [path.join('.'), message].join(' ').trim(),
    )
    throw new UserError(`"${key}" is not a request: ${mistakes.join('; ')}. ${WRITERS}`)
  }
  const { environment, app, id: named } = parsed.data
  if (environment !== scope.environment || app !== scope.app || named !== id) {
    throw new UserError(
      `"${key}" is a request for ${environment}/${app} ("${named}"), not for where it lies.`,
    )
  }
  return parsed.data
}

/** A publisher of one environment may not stop the function for all others by what is too large to be read. */
const MOST_BYTES = 65_536

async function readAsked(store: ObjectStore, key: string): Promise<string | undefined> {
  return (await store.readText(key, MOST_BYTES))?.body
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}

/** Ends a request that starts no rollout; gives its record, unless another look had closed it. */
export async function closeRequest(
  store: ObjectStore,
  scope: AppScope,
  id: string,
  outcome: End,
  reason: string,
): Promise<RolloutRecord | undefined> {
  const asked = await askedBy(store, scope, id)
  const record = closedRecord(asked, outcome, reason, new Date().toISOString())
  const isFirst = await store.createOnly(rolloutKey(scope, id), JSON.stringify(record, null, 1))
  return isFirst ? record : undefined
}

/** As much as any file tells that came as a request. */
export async function askedBy(store: ObjectStore, scope: AppScope, id: string) {
  const parsed = parseJson(await readAsked(store, requestKey(scope, id))) as
    | Partial<Request>
    | null
    | undefined
  const requestedBy = typeof parsed?.requestedBy === 'string' ? parsed.requestedBy : 'unknown'
  const action = typeof parsed?.action === 'string' ? parsed.action : undefined
  return { id, ...scope, requestedBy, action }
}
