import type { FleetLooker } from '../lib/aws/fleet-looker.ts'
import type { ObjectStore } from '../lib/aws/object-store.ts'
import type { RolloutEngine } from '../lib/aws/rollout-engine.ts'
import { type AppScope, rolloutKey } from '../lib/release/keys.ts'
import { decideNext } from '../lib/release/next-request.ts'
import { type End, rolloutRecord, startRecord } from '../lib/release/record.ts'
import type { ReleaseRecord } from '../lib/release/release.ts'
import { isSetting, type ReleaseRequest } from '../lib/release/request.ts'
import { chooseRollback } from '../lib/release/rollback.ts'
import { aboutRollout, endEvent } from '../lib/release/rollout-event.ts'
import { applySetting, refusedByFreeze } from '../lib/release/settings.ts'
import {
  endLock,
  type Lock,
  type ServedRelease,
  type State,
  servedBy,
  takeLock,
} from '../lib/release/state.ts'
import { UserError } from '../lib/user-error.ts'
import { type FreeingClients, freeLock } from './free-lock.ts'
import { pinRelease } from './pin-release.ts'
import { recordRelease } from './record-release.ts'
import { askedBy, closeRequest, readRequest, waitingRequests } from './request-store.ts'
import { refuseExpired } from './retire-releases.ts'
import { refuseUnsigned, type SigningPolicy } from './signed-request.ts'
import { readState, type StoredState, writeState } from './state-store.ts'

export interface Clients extends FreeingClients {
  fleetLooker: FleetLooker
}

/**
 * Brings an environment as far as it can go now: frees a dead owner's lock, starts the newest waiting
 * request, closes those before it. Safe to call at any time, any number of times, at once from several places.
 */
export async function lookAgain(clients: Clients, scope: AppScope, policy: SigningPolicy): Promise<void> {
  const { store, engine, log } = clients
  for (;;) {
    const stored = await readState(store, scope)
    const { lock } = stored.state
    const waiting = await waitingRequests(store, scope)
    const owner = lock ? await engine.status(lock) : undefined
    const next = decideNext({ state: stored.state, waiting, owner })

    if (next.do === 'nothing') return
    log.info(`Next: ${next.do}`, {
      ...next,
      rollout: lock?.request,
      release: lock && stored.state.desired?.release,
      owner,
    })
    if (next.do === 'apply') await apply(clients, scope, stored, next.request)
    if (next.do === 'accept') await accept(clients, scope, policy, stored, next.request)
    if (next.do === 'recover' && lock) await freeLock(clients, scope, stored, lock, next.ended)
    if (next.do === 'start owner' && lock) {
      for (const id of next.superseded)
        await close(clients, scope, id, 'superseded', `${lock.request} came after it`)
      if (await beginRecord(store, scope, stored.state, lock)) return startOwner(engine, scope, lock)
      await writeState(store, scope, { ...stored, state: endLock(stored.state, 'refused', false) })
    }
  }
}

/** The state first, then the record: applied twice, it is the same. */
async function apply(
  { store, fleetLooker }: Clients,
  scope: AppScope,
  stored: StoredState,
  id: string,
): Promise<void> {
  try {
    const asked = await readRequest(store, scope, id)
    if (!isSetting(asked)) throw new Error(`request ${id} was exchanged`)
    const setting = applySetting(stored.state, asked)
    if ('refusal' in setting) {
      await closeRequest(store, scope, id, 'refused', setting.refusal)
      return
    }
    if (!(await writeState(store, scope, { ...stored, state: setting.state }))) return
    const isFirst = await closeRequest(store, scope, id, 'done', setting.said)
    if (isFirst && asked.action === 'refresh') await fleetLooker.start(scope)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    await closeRequest(store, scope, id, 'refused', error.message)
  }
}

/** Finds or pins the release that the request asks for and takes the lock for it; or closes it with the reason it was refused. */
async function accept(
  clients: Clients,
  scope: AppScope,
  { isSigned }: SigningPolicy,
  stored: StoredState,
  id: string,
): Promise<void> {
  const { store, engine, log } = clients
  try {
    const request = await readRequest(store, scope, id)
    if (isSetting(request)) throw new Error(`request ${id} starts no rollout`)
    const frozen = refusedByFreeze(stored.state, request, new Date().toISOString())
    if (frozen) throw new UserError(frozen)
    const { desired, release } = await desiredBy(store, scope, stored.state, request)
    if (isSigned) refuseUnsigned({ ...scope, bucket: store.bucket }, request, desired)
    if (release) await recordRelease(store, scope, release)
    const state = takeLock(stored.state, id, desired, {
      version: await engine.version(),
      ...(request.action === 'rollback' && { isRollback: true }),
      ...(request.action === 'repair' && { isRepair: true }),
    })
    if (!(await writeState(store, scope, { ...stored, state }))) return
    log.info('A request takes the lock.', { rollout: id, release: desired.release, token: state.token })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    await close(clients, scope, id, 'refused', error.message)
  }
}

/** What another look had closed, that has told. */
async function close(
  { store, events, log }: Clients,
  scope: AppScope,
  id: string,
  outcome: End,
  reason: string,
) {
  const record = await closeRequest(store, scope, id, outcome, reason)
  log.info('A request was closed.', { request: id, outcome, reason })
  if (record) await events.tell(endEvent(aboutRollout(record), outcome, record))
}

interface Desired {
  desired: ServedRelease
  /** Of what was pinned just now. */
  release?: ReleaseRecord
}

async function desiredBy(
  store: ObjectStore,
  scope: AppScope,
  state: State,
  request: ReleaseRequest,
): Promise<Desired> {
  if (request.action === 'rollback') {
    const choice = chooseRollback(state, request)
    if ('refusal' in choice) throw new UserError(choice.refusal)
    await refuseExpired(store, scope, choice.to.release)
    return { desired: choice.to }
  }
  if (request.action === 'repair') {
    if (state.current) return { desired: state.current }
    throw new UserError('Nothing has been deployed here yet: there is nothing to repair.')
  }
  const release = await pinRelease(store, request)
  return { desired: servedBy(release), release }
}

/** False when the request was closed by a look that saw its artifacts overwritten before another accepted it. */
async function beginRecord(store: ObjectStore, scope: AppScope, { desired }: State, lock: Lock) {
  const id = lock.request
  // What has the lock is pinned: it is rolled out even if its request was spoiled since.
  const asked = await readRequest(store, scope, id).catch(() => askedBy(store, scope, id))
  const record = startRecord(asked, desired?.release, new Date().toISOString())
  const key = rolloutKey(scope, id)
  if (await store.createOnly(key, JSON.stringify(record, null, 1))) return true
  return rolloutRecord.parse(await store.readJson(key)).outcome === 'running'
}

function startOwner(engine: RolloutEngine, scope: AppScope, lock: Lock): Promise<void> {
  return engine.start(lock, { ...scope, rollout: lock.request, token: lock.token })
}
