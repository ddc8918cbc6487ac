import type { ObjectStore } from '../lib/aws/object-store.ts'
import { type AppScope, releaseKey } from '../lib/release/keys.ts'
import { type PinnedObject, type ReleaseRecord, releaseRecord } from '../lib/release/release.ts'
import {
  artifactsOf,
  chooseRetired,
  expired,
  planRetirement,
  type Retirement,
  withRetiredTag,
} from '../lib/release/retention.ts'
import type { State } from '../lib/release/state.ts'
import { UserError } from '../lib/user-error.ts'
import { readRequest, waitingRequests } from './request-store.ts'

/**
 * Tags what no target can need any more; gives the releases of which nothing is left to be tagged. Each is done again
 * where a try died: the state knows nothing of it yet.
 */
export async function retireReleases(
  store: ObjectStore,
  scope: AppScope,
  { state, keepReleases }: { state: State; keepReleases: number },
): Promise<Retirement> {
  const plan = planRetirement(state, keepReleases)
  const gone = await Promise.all(plan.revive.map((id) => reviveRelease(store, scope, id)))
  const revived = plan.revive.filter((_, index) => gone[index] === undefined)
  if (plan.retire.length === 0) return { retired: [], revived }
  const [retire, stay, asked] = await Promise.all([
    readReleases(store, scope, plan.retire),
    readReleases(store, scope, plan.stay),
    askedKeys(store, scope),
  ])
  const { releases, artifacts } = chooseRetired({ retire, stay, asked })
  await Promise.all(artifacts.map((artifact) => mark(store, artifact, true)))
  return { retired: releases, revived }
}

/** Takes the tag from what a release is made of, before a target is told of it; why not, where it is gone already. */
export async function reviveRelease(
  store: ObjectStore,
  scope: AppScope,
  id: string,
): Promise<string | undefined> {
  const [release] = await readReleases(store, scope, [id])
  if (!release) return undefined
  for (const artifact of artifactsOf(release)) {
    if (!(await mark(store, artifact, false))) return expired(release, artifact, scope.environment)
  }
  return undefined
}

/** Refuses a release of which something is gone. */
export async function refuseExpired(store: ObjectStore, scope: AppScope, id: string): Promise<void> {
  const [release] = await readReleases(store, scope, [id])
  for (const artifact of release ? artifactsOf(release) : []) {
    if (release && !(await store.head(artifact.key, artifact.versionId)))
      throw new UserError(expired(release, artifact, scope.environment))
  }
}

async function readReleases(
  store: ObjectStore,
  scope: AppScope,
  ids: readonly string[],
): Promise<ReleaseRecord[]> {
  const read = await Promise.all(ids.map((id) => store.readJson(releaseKey(scope, id))))
  return read.filter((content) => content !== undefined).map((content) => releaseRecord.parse(content))
}

/** Of requests that ask for bytes; one that cannot be read will be refused. */
async function askedKeys(store: ObjectStore, scope: AppScope): Promise<Set<string>> {
  const keys = new Set<string>()
  for (const { id } of await waitingRequests(store, scope)) {
    const asked = await readRequest(store, scope, id).catch((error) => {
      if (!(error instanceof UserError)) throw error
    })
    if (asked && 'bundle' in asked) for (const { key } of [asked.bundle, asked.code]) keys.add(key)
  }
  return keys
}

/** False when there is no such version any more. */
async function mark(
  store: ObjectStore,
  { key, versionId }: PinnedObject,
  isRetired: boolean,
): Promise<boolean> {
  const tags = await store.readTags(key, versionId)
  if (!tags) return false
  const changed = withRetiredTag(tags, isRetired)
  return !changed || store.writeTags(key, versionId, changed)
}
