import { REQUEST_METADATA } from '../../lib/release/artifact-metadata.ts'
import { sha256 } from '../../lib/release/digest.ts'
import type { AppScope } from '../../lib/release/keys.ts'
import type { DeployRequest } from '../../lib/release/request.ts'
import { requestId } from '../../lib/release/request-id.ts'
import type { Ledger } from './ledger.ts'
import type { SshKey } from './ssh-key.ts'

/** Somebody who has stolen the permission to upload, but has only a key of his own. */
export interface Intruder {
  ledger: Ledger
  scope: AppScope
  key: SshKey
  /** Code that the fleet is not to run. */
  archive: Uint8Array
  /** A request that somebody signed who may. */
  genuine: DeployRequest
}

export interface Attempt {
  request: DeployRequest
  refusal: RegExp
}

/** What he can ask for, by how it is done. */
export async function attempts({ ledger, scope, key, archive, genuine }: Intruder) {
  const metadata = { [REQUEST_METADATA]: genuine.id }
  const code = { key: await ledger.drop(scope, 'intruder', archive, metadata), digest: sha256(archive) }
  const again = (seed: string) => ({ ...genuine, id: requestId(new Date(), seed) })
  const forged = { ...again('forged'), code }
  return {
    forged: {
      request: { ...forged, signed: await key.sign(statementOf(ledger.bucket, forged)) },
      refusal: /was signed by none of the signers/,
    },
    mixed: { request: { ...again('mixed'), code }, refusal: /What is signed is for code/ },
    replayed: { request: again('replayed'), refusal: /What is signed is for request/ },
  } satisfies Record<string, Attempt>
}

function statementOf(own: string, { id, action, environment, app, bundle, code }: DeployRequest) {
  const about = { format: 1, bucket: own, request: id, action, environment, app }
  return { ...about, bundle: bundle.digest, code: code.digest, serial: Date.now(), replaces: 0 }
}
