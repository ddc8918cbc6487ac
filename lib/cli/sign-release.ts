import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { requestKey } from '../release/keys.ts'
import { releaseId } from '../release/release.ts'
import { request } from '../release/request.ts'
import type { ServedRelease } from '../release/state.ts'
import {
  nextSerial,
  readStatement,
  type SignedStatement,
  type Statement,
  statement,
} from '../release/statement.ts'
import { UserError } from '../user-error.ts'
import { readAppState } from './app-state.ts'
import type { OpenedApp } from './open-app.ts'
import { isSignedBy, publicKeyOf, signText } from './ssh-signature.ts'

/** Before minutes go into making and uploading what cannot be signed for. */
export function refuseMissingKey(app: OpenedApp): void {
  const key = signingKey(app)
  if (key && !existsSync(key))
    throw new UserError(
      `there is no file "${key}", which is to sign what is asked of ${app.scope.environment}. Change signing_key in ${app.config.file}, or say another one in PYBUNDLE_SIGNING_KEY.`,
    )
}

export type Signable = Pick<Statement, 'request' | 'action' | 'bundle' | 'code'>

/** Undefined where the configuration names no key. */
export async function signRelease(app: OpenedApp, wanted: Signable): Promise<SignedStatement | undefined> {
  const key = signingKey(app)
  if (!key) return undefined
  const { bundle, code } = wanted
  console.error(
    `Signing for release ${releaseId({ bundle, code })} of ${app.scope.environment}: bundle ${bundle.slice(0, 12)}, code ${code.slice(0, 12)}`,
  )
  const replaces = await currentSerial(app)
  const serial = nextSerial(Date.now(), replaces)
  if (!serial) {
    const ahead = new Date(replaces).toISOString()
    throw new UserError(
      `What ${app.scope.environment} runs was signed at ${ahead}, by a clock that is more than an hour ahead of this one. Set the clock that is wrong.`,
    )
  }
  const { scope, store } = app
  const said = { format: 1, bucket: store.bucket, ...scope, ...wanted, serial, replaces }
  const text = JSON.stringify(statement.parse(said))
  return { statement: text, signature: await signText(text, key) }
}

/**
 * What was not made here is signed for only where somebody signed for it before whom the configuration knows: the
 * bucket's word is not enough, as who writes there could have it signed.
 */
export async function requireSigned(app: OpenedApp, taken: ServedRelease): Promise<void> {
  const signers = await knownSigners(app)
  if (signers.length === 0) return
  const { scope, config, store } = app
  const { release, bundle, code } = taken
  const said = await signedBy(signers, app, taken)
  const wanted = { bucket: store.bucket, ...scope, request: taken.request ?? '', bundle, code }
  // A release that is called otherwise than its bytes would be signed for under a name that nobody asked for.
  if (said && sameValues(wanted, said) && releaseId({ bundle, code }) === release) return
  throw new UserError(
    `Release ${release} of ${scope.environment} is signed by nobody you know, and signing for it again would vouch for it. Is it of a colleague? Add the public key to "signers" of ${scope.environment} in ${config.file}. Otherwise publish what you have here: pybundle publish-release --environment ${scope.environment}`,
  )
}

/** Of what the state says is current: 0 where nobody whom the configuration knows has signed it, who may have made it up. */
async function currentSerial(app: OpenedApp): Promise<number> {
  const { current } = await readAppState(app)
  const said = current && (await signedBy(await knownSigners(app), app, current))
  return said?.serial ?? 0
}

/** Mine, and those that the configuration names. */
async function knownSigners(app: OpenedApp): Promise<string[]> {
  const key = signingKey(app)
  const others = app.config.environments[app.scope.environment]?.signers ?? []
  return key ? [await publicKeyOf(key), ...others] : others
}

/** What one of them said of this release; undefined where none did. */
async function signedBy(
  signers: readonly string[],
  app: OpenedApp,
  taken: ServedRelease,
): Promise<Statement | undefined> {
  const signed = await readSigned(app, taken)
  if (!signed || !(await isSignedBy(signers, signed.statement, signed.signature))) return undefined
  return readStatement(signed)
}

async function readSigned({ store, scope }: OpenedApp, { request: id }: ServedRelease) {
  const asked = id && (await store.readJson(requestKey(scope, id)))
  const parsed = request.safeParse(asked).data
  return parsed && 'signed' in parsed ? parsed.signed : undefined
}

function signingKey({ config, scope }: OpenedApp): string | undefined {
  const configured = config.environments[scope.environment]?.signingKey
  const key = configured && (process.env.PYBUNDLE_SIGNING_KEY ?? configured)
  return key && resolve(config.folder, key.replace(/^~(?=\/)/, homedir()))
}

function sameValues(wanted: Record<string, string>, said: Statement): boolean {
  return Object.entries(wanted).every(([key, value]) => said[key as keyof Statement] === value)
}
