import { randomUUID } from 'node:crypto'
import { hostname, userInfo } from 'node:os'
import { requestKey } from '../release/keys.ts'
import { type ReleaseDigests, releaseId } from '../release/release.ts'
import type { Request } from '../release/request.ts'
import { requestId } from '../release/request-id.ts'
import type { Artifact } from './artifacts.ts'
import { followRollout } from './follow.ts'
import type { OpenedApp } from './open-app.ts'
import { type Signable, signRelease } from './sign-release.ts'
import { step } from './steps.ts'

export interface Asked {
  id: string
  bundle: Artifact
  code: Artifact
  revision: string | undefined
  /** The environment that is promoted from. */
  from?: string | undefined
}

export interface FollowingOptions {
  detach?: boolean | undefined
  json?: boolean | undefined
}

/** Asks for a release by its bytes. */
export function askFor(
  app: OpenedApp,
  { id, bundle, code, revision, from }: Asked,
  options: FollowingOptions,
): Promise<number> {
  const digests = { bundle: bundle.digest, code: code.digest }
  const release = releaseId(digests)
  const artifacts = {
    bundle: { key: bundle.key, digest: bundle.digest },
    code: { key: code.key, digest: code.digest },
    ...(revision && { revision }),
  }
  const wish: Wish = from ? { action: 'promote', from, ...artifacts } : { action: 'deploy', ...artifacts }
  return ask(app, { id, what: `for release ${release}`, wish, digests, answer: { release } }, options)
}

type Envelope = 'signed' | 'format' | 'id' | 'environment' | 'app' | 'requestedBy' | 'requestedAt'
type Without<T, Keys extends PropertyKey> = T extends unknown ? Omit<T, Keys> : never
/** What is asked, without who asks whom and when. */
export type Wish = Without<Request, Envelope>

interface Question {
  /** The artifacts of a deploy name it before it is asked. */
  id?: string
  /** As in "asked production ...". */
  what: string
  wish: Wish
  /** Of the release that is wished for. */
  digests?: ReleaseDigests
  /** Told beside the request where nobody follows. */
  answer?: Record<string, unknown>
}

/** Writes the request, last of all, and follows what becomes of it; returns the exit code. */
export async function ask(
  app: OpenedApp,
  question: Question,
  { detach, json }: FollowingOptions,
): Promise<number> {
  const request = await writeRequest(app, question)
  const { store, scope } = app
  if (!detach) return followRollout({ store, scope, requestId: request.id, json })
  if (json) console.log(JSON.stringify({ ...request, ...question.answer }))
  return 0
}

export async function writeRequest(
  app: OpenedApp,
  { id = requestId(new Date(), randomUUID()), what, wish, digests }: Question,
): Promise<Request> {
  const { store, scope } = app
  const signed =
    digests &&
    (await signRelease(app, { request: id, action: wish.action as Signable['action'], ...digests }))
  const request = {
    format: 1,
    id,
    ...wish,
    ...scope,
    ...(signed && { signed }),
    requestedBy: `${userName()}@${hostname()}`.slice(0, 200),
    requestedAt: new Date().toISOString(),
  } as Request
  await step(`Asking ${scope.environment} ${what}`, async ({ result }) => {
    const isOurs = await store.createOnly(requestKey(scope, id), `${JSON.stringify(request, null, 1)}\n`)
    if (!isOurs) throw new Error(`request ${id} exists already`)
    result(`Asked ${scope.environment} ${what} (request ${id})`)
  })
  return request
}

/** A container's user may have no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}
