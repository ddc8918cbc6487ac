import { readFile } from 'node:fs/promises'
import { Logger } from '@aws-lambda-powertools/logger'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { lookAgain } from '../../lambda/look-again.ts'
import { requestForDrop } from '../../lambda/request-for-drop.ts'
import { uploadsOf } from '../../lambda/storage-event.ts'
import type { ObjectStore } from '../../lib/aws/object-store.ts'
import type { Owner, RolloutEngine } from '../../lib/aws/rollout-engine.ts'
import { readManifest } from '../../lib/bundle/read-manifest.ts'
import { sha256 } from '../../lib/release/digest.ts'
import {
  bundleKey,
  codeKey,
  releaseKey,
  requestKey,
  requestsPrefix,
  rolloutKey,
  rolloutsPrefix,
  stateKey,
} from '../../lib/release/keys.ts'
import { closedRecord, type RolloutRecord } from '../../lib/release/record.ts'
import { requestId } from '../../lib/release/request-id.ts'
import { type RolloutEvent, rolloutEvent } from '../../lib/release/rollout-event.ts'
import {
  EMPTY_STATE,
  type ExecutionStatus,
  endLock,
  type State,
  serveRelease,
  state as stateSchema,
} from '../../lib/release/state.ts'
import { bundle, codeArchive, created, openBucket, type TestBucket } from './bucket.ts'

/** Remembers what was started, as Lambda would; how an execution stands is for the test to say. */
class Engine implements RolloutEngine {
  readonly started = new Map<string, ExecutionStatus>()
  async version() {
    return '7'
  }
  async status({ execution }: Owner) {
    return this.started.get(execution)
  }
  async start({ execution, version }: Owner) {
    expect(version).toBe('7')
    this.started.set(execution, this.started.get(execution) ?? 'RUNNING')
  }
}

let bucket: TestBucket
let bundleFile: string
let environments = 0
let scope: { environment: string; app: string }
let engine: Engine

beforeAll(async () => {
  bucket = await openBucket()
  bundleFile = await bundle(bucket.directory)
})
afterAll(() => bucket.close())
beforeEach(() => {
  scope = { environment: `env-${environments++}`, app: 'guestbook' }
  engine = new Engine()
})

const UNSIGNED = { isSigned: false }
const now = () => new Date().toISOString()
const asked: string[] = []
const fleetLooker = {
  start: async ({ environment }: { environment: string }) => void asked.push(environment),
}
const told: RolloutEvent[] = []
const events = { tell: async (event: RolloutEvent) => void told.push(rolloutEvent.parse(event)) }
const log = new Logger()
const clients = () => ({ store: bucket.store, engine, fleetLooker, events, log })
const look = (policy = UNSIGNED) => lookAgain(clients(), scope, policy)
const state = async () => stateSchema.parse(await bucket.store.readJson(stateKey(scope)))
const record = async (id: string) => (await bucket.store.readJson(rolloutKey(scope, id))) as RolloutRecord

async function upload(text = 'print(1)') {
  const content = await readFile(bundleFile)
  const read = async (start: number, end: number) => content.subarray(start, end + 1)
  const { digest } = await readManifest({ size: content.length, read })
  const code = await codeArchive(text)
  const keys = { bundle: bundleKey(scope, digest), code: codeKey(scope, sha256(code)) }
  await bucket.put(keys.bundle, content, { 'pybundle-request': 'some' })
  await bucket.put(keys.code, code, { 'pybundle-request': 'some' })
  return { bundle: { key: keys.bundle, digest }, code: { key: keys.code, digest: sha256(code) } }
}

async function ask(seed: string, artifacts: object, extra: object = {}): Promise<string> {
  const id = requestId(new Date(), `${scope.environment} ${seed}`)
  const requestedAt = new Date().toISOString()
  const request = {
    format: 1,
    id,
    action: 'deploy',
    ...scope,
    ...artifacts,
    requestedBy: 'test',
    requestedAt,
    ...extra,
  }
  await bucket.put(requestKey(scope, id), JSON.stringify(request))
  return id
}

async function drop(key: string, content: Uint8Array | string, policy = UNSIGNED) {
  const versionId = await bucket.put(key, content)
  for (const uploaded of uploadsOf(created(key, versionId))) await requestForDrop(clients(), uploaded, policy)
  return versionId
}

describe('look again', () => {
  it('pins the release, takes the lock and starts the rollout under the name of its token', async () => {
    const artifacts = await upload()
    const id = await ask('one', artifacts)
    await look()
    const { lock, desired } = await state()
    expect(lock).toEqual({ token: 1, request: id, execution: `1-${id}`, version: '7' })
    expect([...engine.started]).toEqual([[`1-${id}`, 'RUNNING']])
    expect(desired).toMatchObject({ bundle: artifacts.bundle.digest, code: artifacts.code.digest })
    expect((await record(id)).outcome).toBe('running')
  })

  it('starts one rollout, however often and however many at once look', async () => {
    await ask('one', await upload())
    await Promise.all(Array.from({ length: 8 }, () => look()))
    await look()
    expect(engine.started.size).toBe(1)
    expect((await state()).token).toBe(1)
  })

  it('starts the newest request next, and records those in between as superseded', async () => {
    const artifacts = await upload()
    const first = await ask('one', artifacts)
    await look()
    const between = await ask('two', artifacts)
    const newest = await ask('three', artifacts)
    await look()
    expect(engine.started.size).toBe(1)
    engine.started.set(`1-${first}`, 'SUCCEEDED')
    const stored = await bucket.store.readText(stateKey(scope))
    const freed: State = endLock(await state(), 'done', true)
    await bucket.store.replace(stateKey(scope), JSON.stringify(freed), stored?.eTag)
    await look()
    const outcomes = [(await record(between)).outcome, (await record(newest)).outcome].sort()
    expect(outcomes).toEqual(['running', 'superseded'])
    expect((await state()).lock?.token).toBe(2)
  })

  it('starts the one before it when the newest request is refused', async () => {
    const valid = await ask('one', await upload())
    const foreign = requestId(new Date(Date.now() + 60_000), scope.environment)
    await bucket.put(requestKey(scope, foreign), 'hello')
    await look()
    expect([(await record(foreign)).outcome, (await record(valid)).outcome]).toEqual(['refused', 'running'])
    expect([...engine.started.keys()]).toEqual([`1-${valid}`])
  })

  it('takes the lock back from a request that another look has refused meanwhile', async () => {
    const artifacts = await upload()
    const id = await ask('one', artifacts)
    const refusing: RolloutEngine = {
      version: () => engine.version(),
      start: (owner) => engine.start(owner),
      status: async () => {
        const refused = closedRecord({ id, ...scope, requestedBy: 'test' }, 'refused', 'overwritten', now())
        await bucket.store.createOnly(rolloutKey(scope, id), JSON.stringify(refused))
        return undefined
      },
    }
    await lookAgain({ ...clients(), engine: refusing }, scope, UNSIGNED)
    expect([(await state()).lock, engine.started.size]).toEqual([null, 0])
    expect((await record(id)).outcome).toBe('refused')
  })

  it('starts the owner of a lock whose taker was killed before it could', async () => {
    const id = await ask('one', await upload())
    const dying: RolloutEngine = {
      version: () => engine.version(),
      status: async () => undefined,
      start: () => Promise.reject(new Error('killed')),
    }
    await expect(lookAgain({ ...clients(), engine: dying }, scope, UNSIGNED)).rejects.toThrow('killed')
    await bucket.put(requestKey(scope, id), 'spoiled since')
    await look()
    expect([...engine.started.keys()]).toEqual([`1-${id}`])
  })

  it.each(['FAILED', 'TIMED_OUT', 'STOPPED'] as const)(
    'frees the lock of an execution that is %s',
    async (ended) => {
      const id = await ask('one', await upload())
      await look()
      engine.started.set(`1-${id}`, ended)
      await look()
      expect((await state()).lock).toBeNull()
      expect(await record(id)).toMatchObject({ outcome: 'failed', reason: expect.stringContaining(ended) })
    },
  )

  it('closes the record of a dead rollout also when its last step wrote between reading and writing', async () => {
    const id = await ask('one', await upload())
    await look()
    engine.started.set(`1-${id}`, 'FAILED')
    const key = rolloutKey(scope, id)
    let lateWrites = 0
    const replace: ObjectStore['replace'] = async (written, body, eTag) => {
      if (written === key && lateWrites++ === 0) {
        const known = await bucket.store.readText(key)
        await bucket.store.replace(key, `${known?.body}\n`, known?.eTag)
      }
      return bucket.store.replace(written, body, eTag)
    }
    await lookAgain({ ...clients(), store: { ...bucket.store, replace } }, scope, UNSIGNED)
    expect(lateWrites).toBe(2)
    expect((await record(id)).outcome).toBe('failed')
    expect((await state()).lock).toBeNull()
  })

  it('refuses a request for bytes that were overwritten, and starts nothing', async () => {
    const artifacts = await upload()
    const id = await ask('one', artifacts)
    await bucket.put(artifacts.code.key, await codeArchive('print("other")'), { 'pybundle-request': 'other' })
    await look()
    expect(await record(id)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('overwritten'),
    })
    expect(engine.started.size).toBe(0)
  })

  it.each([
    ['a file that is not JSON', 'hello', 'it is not JSON, or more than 65536 bytes'],
    ['a list', '[]', 'it must be an object'],
    [
      'an action that there is not',
      '{"action":"deploi"}',
      'action must be one of deploy, promote, rollback, repair, cancel, freeze, unfreeze, confirm-migration, refresh',
    ],
    [
      'one that is too large to be read',
      `"${'x'.repeat(70_000)}"`,
      'it is not JSON, or more than 65536 bytes',
    ],
    [
      'a request with mistakes',
      '{"format":2,"action":"deploy","environment":"staging","app":"A","bundle":{},"code":"x","requestedBy":"me"}',
      'format must be 1; id is missing; app is not a name: a lower-case letter, then up to 19 of a-z, 0-9 and "-"; requestedAt is missing; bundle.key is missing; bundle.digest must be a sha256; code must be an object with key and digest',
    ],
  ])('refuses %s, in words', async (_, body, reason) => {
    const id = requestId(new Date(), scope.environment)
    const key = requestKey(scope, id)
    await bucket.put(key, body)
    await look()
    expect(await record(id)).toMatchObject({
      outcome: 'refused',
      reason: `"${key}" is not a request: ${reason}. Requests are written by pybundle publish-release, promote and the like.`,
    })
  })

  it('refuses a request for what is no upload of its own environment', async () => {
    const { bundle: wanted } = await upload()
    const keys = [
      releaseKey(scope, 'abcdefabcdef'),
      'other/guestbook/code/theirs.zip',
      `${scope.environment}/other/code/theirs.zip`,
      `${scope.environment}/guestbook/bundles/ours.pybundle`,
    ]
    for (const key of keys) {
      const id = await ask(key, { bundle: wanted, code: { key, digest: sha256('') } })
      await look()
      expect(await record(id)).toMatchObject({
        outcome: 'refused',
        reason: `"${key}" is no code of guestbook in ${scope.environment}.`,
      })
    }
  })

  it('refuses a request that reaches for another environment', async () => {
    const artifacts = await upload()
    const id = await ask('one', artifacts, { environment: 'other' })
    await look()
    expect(await record(id)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('not for where it lies'),
    })
  })
})

describe('a file dropped by hand', () => {
  it('takes the desired release for the other half, once, however often the event comes', async () => {
    const { bundle: desired } = await upload()
    await ask('one', await upload())
    await look()
    const key = codeKey(scope, 'by hand +1')
    const versionId = await drop(key, await codeArchive('print("by hand")'))
    for (const uploaded of uploadsOf(created(key, versionId)))
      await requestForDrop(clients(), uploaded, UNSIGNED)
    const requests = await bucket.store.list(requestsPrefix(scope))
    expect(requests).toHaveLength(2)
    const asked = await Promise.all(requests.map(({ key: name }) => bucket.store.readJson(name)))
    expect(asked).toContainEqual(
      expect.objectContaining({ requestedBy: `upload of ${key}`, bundle: expect.objectContaining(desired) }),
    )
  })

  it.each([
    ['bundles/cut.pybundle', async () => (await readFile(bundleFile)).subarray(0, 900), 'cut off'],
    ['bundles/photo.pybundle', async () => 'GIF89a', 'photo.pybundle'],
    ['code/photo.tar.gz', async () => 'GIF89a', 'not a .tar.gz'],
    ['code/early.tar.gz', async () => codeArchive(''), 'no release yet'],
  ])('is refused with a record when it is %s', async (name, content, reason) => {
    await drop(`${scope.environment}/${scope.app}/${name}`, await content())
    const [found] = await bucket.store.list(rolloutsPrefix(scope))
    const refused = (await bucket.store.readJson(found?.key ?? '')) as RolloutRecord
    expect(refused).toMatchObject({ outcome: 'refused', reason: expect.stringContaining(reason) })
    expect(await bucket.store.list(requestsPrefix(scope))).toEqual([])
  })

  it('is left to its request when its publisher named one', async () => {
    const { code } = await upload()
    const head = await bucket.store.head(code.key)
    for (const uploaded of uploadsOf(created(code.key, head?.versionId ?? ''))) {
      await requestForDrop(clients(), uploaded, UNSIGNED)
    }
    expect(await bucket.store.list(requestsPrefix(scope))).toEqual([])
  })
})

describe('where requests have to be signed', () => {
  const SIGNED = { isSigned: true }
  const signed = ({ bundle, code }: Awaited<ReturnType<typeof upload>>, changes: object) => ({
    signature: 'which the targets verify',
    statement: JSON.stringify({
      format: 1,
      request: requestId(new Date(), `${scope.environment} one`),
      action: 'deploy',
      bucket: bucket.store.bucket,
      ...scope,
      bundle: bundle.digest,
      code: code.digest,
      serial: 1,
      replaces: 0,
      ...changes,
    }),
  })

  it('one that is goes to its targets', async () => {
    const artifacts = await upload()
    const id = await ask('one', artifacts, { signed: signed(artifacts, {}) })
    await look(SIGNED)
    expect((await record(id)).outcome).toBe('running')
    expect((await state()).desired?.request).toBe(id)
  })

  it.each([
    ['is not', undefined, /takes signed requests only.*signing_key = /],
    ['is signed for other code', { code: '0'.repeat(64) }, /is for code 0{64}, not for/],
    ['is signed for another bundle', { bundle: '0'.repeat(64) }, /is for bundle 0{64}, not for/],
    ['is signed for another app', { app: 'other' }, /is for app other, not for/],
    ['is signed for another action', { action: 'rollback' }, /is for action rollback, not for deploy/],
    ['is signed for another environment', { environment: 'other' }, /is for environment other, not for/],
    ['is signed for another stack', { bucket: 'other' }, /is for bucket other, not for/],
    ['was signed for another request', { request: '20260101t000000z-00000000' }, /is for request 2026/],
    ['is signed in other words', { format: 2 }, /is no statement about a release/],
  ])('one that %s is refused before any target is asked', async (_what, changes, reason) => {
    const artifacts = await upload()
    const id = await ask('one', artifacts, changes && { signed: signed(artifacts, changes) })
    await look(SIGNED)
    expect(await record(id)).toMatchObject({ outcome: 'refused', reason: expect.stringMatching(reason) })
    expect(engine.started.size).toBe(0)
  })

  it.each(['repair', 'rollback'])('a %s is refused without a signature, too', async (action) => {
    await ask('one', await upload())
    await look()
    const running = await state()
    const served = { release: 'a'.repeat(12), bundle: 'b'.repeat(64), code: 'c'.repeat(64) }
    const before = serveRelease(
      serveRelease(EMPTY_STATE, served, 1),
      { ...served, release: 'd'.repeat(12) },
      2,
    )
    const stored = await bucket.store.readText(stateKey(scope))
    const token = running.lock?.token ?? 0
    await bucket.store.replace(stateKey(scope), JSON.stringify({ ...before, token }), stored?.eTag)
    engine.started.clear()
    const id = await ask('two', {}, { action, ...(action === 'rollback' && { acrossMigrations: false }) })
    await look(SIGNED)
    expect(await record(id)).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('takes signed requests only'),
    })
    expect(engine.started.size).toBe(0)
  })

  it('one that is refused moves no release to what was written under its keys since', async () => {
    const artifacts = await upload()
    await ask('one', artifacts, { signed: signed(artifacts, {}) })
    await look(SIGNED)
    const { release = '' } = (await state()).desired ?? {}
    const before = await bucket.store.readJson(releaseKey(scope, release))
    const stored = await bucket.store.readText(stateKey(scope))
    const freed = endLock(await state(), 'done', true)
    await bucket.store.replace(stateKey(scope), JSON.stringify(freed), stored?.eTag)
    await upload()
    const id = await ask('two', artifacts)
    engine.started.clear()
    await look(SIGNED)
    expect((await record(id)).outcome).toBe('refused')
    await ask('three', artifacts)
    await look()
    expect(await bucket.store.readJson(releaseKey(scope, release))).toEqual(before)
  })

  it('a file dropped by hand is refused with a record that says how to sign for it', async () => {
    await drop(codeKey(scope, 'v2'), await codeArchive('print(2)'), SIGNED)
    const [found] = await bucket.store.list(rolloutsPrefix(scope))
    const refused = (await bucket.store.readJson(found?.key ?? '')) as RolloutRecord
    expect(refused.reason).toBe(
      `"${codeKey(scope, 'v2')}" was dropped by hand, but ${scope.environment} takes signed requests only. Sign for the same file: pybundle publish-code --environment ${scope.environment} --from v2.tar.gz`,
    )
  })
})
