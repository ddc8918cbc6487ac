import { hostname, userInfo } from 'node:os'
import { requestKey } from '../release/keys.ts'
import { releaseId } from '../release/release.ts'
import type { Request } from '../release/request.ts'
import type { Artifact } from './artifacts.ts'
import { followRollout } from './follow.ts'
import type { OpenedApp } from './open-app.ts'
import { step } from './steps.ts'

export interface Asked {
  id: string
  bundle: Artifact
  code: Artifact
  revision: string | undefined
  /** The environment that is promoted from. */
  from?: string | undefined
}

/** Writes the request, last of all, and follows what becomes of it; returns the exit code. */
export async function askFor(
  { store, scope }: OpenedApp,
  { id, bundle, code, revision, from }: Asked,
  { detach, json }: { detach?: boolean | undefined; json?: boolean | undefined },
): Promise<number> {
  const release = releaseId({ bundle: bundle.digest, code: code.digest })
  const request: Request = {
    format: 1,
    id,
    ...(from ? { action: 'promote' as const, from } : { action: 'deploy' as const }),
    ...scope,
    bundle: { key: bundle.key, digest: bundle.digest },
    code: { key: code.key, digest: code.digest },
    ...(revision && { revision }),
    requestedBy: `${userName()}@${hostname()}`.slice(0, 200),
    requestedAt: new Date().toISOString(),
  }
  await step(`Asking ${scope.environment} for release ${release}`, async ({ result }) => {
    const isOurs = await store.createOnly(requestKey(scope, id), `${JSON.stringify(request, null, 1)}\n`)
    if (!isOurs) throw new Error(`request ${id} exists already`)
    result(`Asked ${scope.environment} for release ${release} (request ${id})`)
  })
  if (!detach) return followRollout({ store, scope, requestId: id, json })
  if (json) console.log(JSON.stringify({ ...request, release }))
  return 0
}

/** A container's user may have no name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.getuid?.() ?? 'unknown')
  }
}
