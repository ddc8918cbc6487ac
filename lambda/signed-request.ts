import type { FleetPolicy } from '../lib/release/fleet.ts'
import type { AppScope } from '../lib/release/keys.ts'
import type { ReleaseRequest } from '../lib/release/request.ts'
import type { ServedRelease } from '../lib/release/state.ts'
import { readStatement } from '../lib/release/statement.ts'
import { UserError } from '../lib/user-error.ts'
import type { UploadedObject } from './storage-event.ts'

/** Whether what a fleet is brought to has to be signed. */
export type SigningPolicy = Pick<FleetPolicy, 'isSigned'>

/**
 * Whether somebody may have signed for this release is for the targets to find out, which trust no function. What
 * they would refuse in any case is refused before they are asked.
 */
export function refuseUnsigned(
  { bucket, environment, app }: AppScope & { bucket: string },
  request: ReleaseRequest,
  { bundle, code }: ServedRelease,
): void {
  if (!request.signed) {
    throw new UserError(
      `${environment} takes signed requests only. Name your key where the app's configuration names ${environment}, as signing_key = "~/.ssh/id_ed25519.pub", and ask again.`,
    )
  }
  const said = readStatement(request.signed)
  if (!said)
    throw new UserError('What is signed is no statement about a release. Ask again, with pybundle itself.')
  const { action, id } = request
  const asked = { bucket, environment, app, action, bundle, code, request: id }
  const names = ['bucket', 'environment', 'app', 'action', 'bundle', 'code', 'request'] as const
  const other = names.find((key) => said[key] !== asked[key])
  if (other) {
    throw new UserError(
      `What is signed is for ${other} ${said[other]}, not for ${asked[other]}. Ask again: what was signed once is good for nothing else.`,
    )
  }
}

/** Nobody has signed for what was dropped. */
export function refuseDrop({ key, kind, environment }: UploadedObject): never {
  const name = key.slice(key.lastIndexOf('/') + 1)
  // It is for somebody's shell, and whoever uploads chose it.
  const file = /^[\w+][\w.+-]*$/.test(name) ? name : 'FILE'
  throw new UserError(
    `"${key}" was dropped by hand, but ${environment} takes signed requests only. Sign for the same file: pybundle publish-${kind} --environment ${environment} --from ${file}`,
  )
}
