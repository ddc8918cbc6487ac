import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { releaseKey } from '../../lib/release/keys.ts'
import { releaseId } from '../../lib/release/release.ts'
import type { Statement } from '../../lib/release/statement.ts'
import { Signer } from '../signer.ts'
import { type PublishedRelease, SCOPE } from './artifacts.ts'
import { ask, newRequestId, statementFor } from './signed-requests.ts'
import { smallPip } from './small-pip.ts'
import { pythonOutput, type TestTarget } from './target.ts'
import { thisPython } from './this-python.ts'
import { Workshop } from './workshop.ts'

const EXCHANGE_WHEEL = fileURLToPath(new URL('exchange_wheel.py', import.meta.url))

let workshop: Workshop
let ada: Signer
let mallory: Signer
let target: TestTarget
let one: PublishedRelease
let two: PublishedRelease
let three: PublishedRelease

beforeAll(async () => {
  workshop = await Workshop.open('verify')
  ada = new Signer(workshop.folder)
  mallory = new Signer(workshop.folder)
  const pip = await smallPip(workshop.folder)
  one = await workshop.publishApp({ says: 'one' }, { pip })
  two = await workshop.publishApp({ says: 'two' }, { pip })
  three = await workshop.publishApp({ says: 'three' }, { pip })
})
afterAll(() => workshop.close())
beforeEach(async () => {
  target = await signedTarget()
})

const signedTarget = () => workshop.newTarget({ signers: [ada.publicKey] })
async function signed(release: PublishedRelease, changes: Partial<Statement>, who = ada) {
  const id = newRequestId()
  return ask(workshop.bucket, id, await who.sign(statementFor(release, id, changes)))
}
const prepare = (release: PublishedRelease, rollout: string, token = 1) =>
  target.run('prepare', release, { rollout, token })

/** Prepares and activates what was signed with this serial. */
async function deploy(release: PublishedRelease, serial: number, replaces: number, who = ada) {
  const rollout = await signed(release, { serial, replaces }, who)
  target.holdLock(serial)
  const asked = { rollout, token: serial }
  const prepared = await target.run('prepare', release, asked)
  expect(prepared.verdict).toMatchObject({ outcome: 'done' })
  const { verdict } = await target.run('activate', release, asked)
  expect(verdict).toMatchObject({ outcome: 'done', current: release.id })
  return rollout
}

async function catchUp(release: PublishedRelease, request: string) {
  const { bundle, code } = release.digests
  target.setState({ current: { release: release.id, bundle, code, request } })
  return (await target.run('catch-up')).verdict
}

describe('a target whose document names signers', () => {
  it('prepares, activates and goes back from what one of them signed', async () => {
    await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    expect((await target.run('revert', two, { token: 20 })).verdict).toMatchObject({
      outcome: 'done',
      current: one.id,
    })
  })

  it('takes what any of several signed', async () => {
    target.config.signers = [mallory.publicKey, ada.publicKey]
    expect((await prepare(one, await signed(one, {}))).verdict.outcome).toBe('done')
  })

  it.each<[string, () => Promise<string>, RegExp]>([
    [
      'without a signature',
      async () => ask(workshop.bucket, newRequestId(), undefined),
      /^nobody has signed for this/,
    ],
    ['of a request that is not there', async () => '20260101t000000z-00000000', /^nobody has signed/],
    ['of no request', async () => '', /^nobody has signed/],
    [
      'signed by somebody else',
      async () => {
        const id = newRequestId()
        return ask(workshop.bucket, id, await mallory.sign(statementFor(one, id)))
      },
      /^this was signed by none/,
    ],
    [
      'changed after it was signed',
      async () => {
        const id = newRequestId()
        const { statement, signature } = await ada.sign(statementFor(one, id))
        return ask(workshop.bucket, id, {
          statement: statement.replace('"serial":1', '"serial":2'),
          signature,
        })
      },
      /^this was signed by none/,
    ],
    [
      'with something else for a signature',
      async () => {
        const id = newRequestId()
        const { statement } = await ada.sign(statementFor(one, id))
        return ask(workshop.bucket, id, { statement, signature: 'x\n-----BEGIN SSH SIGNATURE-----' })
      },
      /^this was signed by none/,
    ],
    [
      'signed for another stack',
      () => signed(one, { bucket: 'trial' }),
      /is for bucket trial, not for the-bucket/,
    ],
    [
      'signed by a clock that is two hours ahead',
      () => signed(one, { serial: Date.now() + 7_200_000 }),
      /by a clock that is more than an hour ahead/,
    ],
    [
      'signed for another request',
      () => signed(one, { request: '20260101t000000z-00000000' }),
      /is for request 20260101t000000z-00000000, not for/,
    ],
    [
      'signed for another environment',
      () => signed(one, { environment: 'production' }),
      /is for environment production, not for staging/,
    ],
    ['signed for another app', () => signed(one, { app: 'shop' }), /is for app shop, not for guestbook/],
    [
      'with the code of another release',
      () => signed(one, { code: two.digests.code }),
      /is for code [0-9a-f]{64}, not for/,
    ],
    [
      'with the bundle of another one',
      () => signed(one, { bundle: '0'.repeat(64) }),
      /is for bundle 0{64}, not for/,
    ],
  ])('refuses what is %s, before it fetches or makes anything', async (_what, asked, reason) => {
    const rollout = await asked()
    const before = workshop.bucket.fetched.length
    const { verdict } = await prepare(one, rollout)
    expect(verdict).toMatchObject({ outcome: 'refused', reason: expect.stringMatching(reason) })
    const fetched = workshop.bucket.fetched
      .slice(before)
      .filter((path) => !/requests|verify|state.json/.test(path))
    expect(fetched).toEqual([])
    expect(target.has('releases', one.id)).toBe(false)
  })

  it('refuses an id that is not of the digests that were signed', async () => {
    await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    const rollout = await signed(three, { serial: 30, replaces: 20 })
    const misnamed = { ...three, id: one.id }
    const { verdict } = await target.run('prepare', misnamed, { rollout, token: 30 })
    expect(verdict).toMatchObject({
      outcome: 'refused',
      reason: `release ${one.id} is not made of this bundle and this code`,
    })
  })

  it('refuses what was signed before what it has accepted, though it is prepared still', async () => {
    const first = await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    await deploy(three, 30, 20)
    const again = await target.run('prepare', one, { rollout: first, token: 30 })
    expect(again.verdict).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('signed before'),
    })
    expect((await target.run('activate', one, { token: 30 })).verdict).toMatchObject({
      outcome: 'refused',
      reason: `release ${one.id} is not what was signed last`,
      current: three.id,
    })
    expect((await target.run('migrate', one, { token: 30, rollout: first })).verdict.outcome).toBe('refused')
    expect(await catchUp(one, first)).toMatchObject({ outcome: 'refused', current: three.id })
  })

  it('goes back to an older release where that is signed for anew', async () => {
    await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    await deploy(one, 30, 20)
    expect(target.read('current', 'serve.py')).toContain('one')
  })

  it('goes back once, not step by step to whatever was good', async () => {
    await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    await deploy(three, 30, 20)
    expect((await target.run('revert', three, { token: 30 })).verdict.current).toBe(two.id)
    expect((await target.run('revert', two, { token: 30 })).verdict).toMatchObject({
      outcome: 'refused',
      current: two.id,
    })
  })

  it('goes back once, and not to what ran before anything had to be signed', async () => {
    target.config.signers = []
    await target.deploy(one, 5)
    target.config.signers = [ada.publicKey]
    await deploy(two, 10, 0)
    await deploy(three, 20, 10)
    expect((await target.run('revert', three, { token: 20 })).verdict.current).toBe(two.id)
    expect((await target.run('revert', two, { token: 20 })).verdict).toMatchObject({
      outcome: 'refused',
      current: two.id,
    })
  })

  it('goes back to nothing that the last signed request did not replace', async () => {
    await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    const rollout = await signed(two, { serial: 30, replaces: 20 })
    await target.run('prepare', two, { rollout, token: 30 })
    expect((await target.run('revert', two, { token: 30 })).verdict).toMatchObject({
      outcome: 'refused',
      reason: `release ${one.id} is not what was signed last`,
      current: two.id,
    })
  })

  it('catches up also where two were signed at once, to replace the same', async () => {
    const first = await deploy(one, 10, 0)
    const current = await deploy(two, 20, 10)
    for (const [serial, replaces] of [
      [21, 10],
      [30, 20],
    ]) {
      const rollout = await signed(three, { serial, replaces })
      const { verdict } = await target.run('prepare', three, { rollout, token: serial })
      expect(verdict.outcome).toBe('done')
    }
    expect(await catchUp(one, first)).toMatchObject({ outcome: 'refused', current: two.id })
    target.holdLock(30)
    expect((await target.run('activate', three, { token: 30 })).verdict.outcome).toBe('done')
    expect(await catchUp(two, current)).toMatchObject({ outcome: 'done', current: two.id })
  })

  it('says how a migration ended that was asked for before something newer was signed', async () => {
    const app = await workshop.publishApp(
      { settings: ['migrate_command = "true"'] },
      { pip: await smallPip(workshop.folder) },
    )
    const rollout = await signed(app, { serial: 10, replaces: 0 })
    target.holdLock(10)
    await target.run('prepare', app, { rollout, token: 10 })
    expect((await target.run('migrate', app, { rollout, token: 10 })).verdict.outcome).toBe('done')
    const newer = await signed(two, { serial: 20, replaces: 0 })
    expect((await target.run('prepare', two, { rollout: newer, token: 10 })).verdict.outcome).toBe('done')
    expect((await target.run('migrate', app, { rollout, token: 10 })).verdict).toMatchObject({
      outcome: 'done',
      reason: 'migrated',
    })
  })

  it('makes no folder of what a record calls its release', async () => {
    const victim = join(target.root, 'victim')
    mkdirSync(victim)
    const rollout = await signed(one, { serial: 10, replaces: 0 })
    const key = releaseKey(SCOPE, one.id)
    const record = JSON.parse(workshop.bucket.body(key).toString())
    workshop.bucket.put(key, JSON.stringify({ ...record, release: victim }))
    const { verdict } = await prepare(one, rollout)
    workshop.bucket.put(key, JSON.stringify(record))
    expect(verdict).toMatchObject({
      outcome: 'failed',
      reason: `"${key}" is of another release than the command`,
    })
    expect(readdirSync(victim)).toEqual([])
  })

  it('catches up to what ran before a release that it was the first to get', async () => {
    const current = await signed(one, { serial: 10, replaces: 0 })
    await prepare(two, await signed(two, { serial: 20, replaces: 10 }))
    expect(await catchUp(one, current)).toMatchObject({ outcome: 'done', current: one.id })
  })

  it('is not talked into an older release by what a new one claims to replace', async () => {
    const first = await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    await deploy(three, 30, 20)
    await deploy(two, 40, 10)
    expect(await catchUp(one, first)).toMatchObject({ outcome: 'refused', current: two.id })
    expect((await target.run('revert', two, { token: 40 })).verdict.current).toBe(three.id)
  })

  it('takes no two releases of the same serial, of which the older one could come again', async () => {
    await deploy(one, 20, 10)
    const same = await signed(two, { serial: 20, replaces: 10 })
    expect((await prepare(two, same, 20)).verdict).toMatchObject({
      outcome: 'refused',
      reason: expect.stringContaining('signed before'),
    })
  })

  it('goes no second step back where one activation after the other fails', async () => {
    await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    await deploy(three, 30, 20)
    const broken = join(target.root, 'broken')
    target.config.restart_command = `test ! -e ${broken}`
    writeFileSync(broken, '')
    target.holdLock(31)
    for (const release of [two, two, three]) {
      const { verdict } = await target.run('activate', release, { token: 31 })
      expect(verdict.outcome).toBe('failed')
    }
    rmSync(broken)
    const { verdict } = await target.run('revert', three, { token: 31 })
    expect(verdict).toMatchObject({
      outcome: 'refused',
      reason: `release ${one.id} is not what was signed last`,
    })
    expect([two.id, three.id]).toContain(verdict.current)
  })

  it.each([
    ['names no signers', () => []],
    ['names one who is none any more', () => [mallory.publicKey]],
  ])('takes nothing more where it is sent an older version of its document, which %s', async (_, older) => {
    await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    target.latest = { ...target.config }
    target.config.signers = older()
    const rollout = await signed(three, { serial: 30, replaces: 20 }, mallory)
    const { verdict } = await prepare(three, rollout, 30)
    expect(verdict).toMatchObject({ outcome: 'refused', reason: 'this was signed by none of the signers' })
    expect(target.has('releases', three.id)).toBe(false)
    const back = await target.run('revert', two, { token: 30 })
    expect(back.verdict.current).toBe(one.id)
    target.holdLock(31)
    expect((await target.run('activate', three, { token: 31 })).verdict.current).toBe(one.id)
  })

  it('neither activates nor goes back to what a key has signed that was taken out', async () => {
    target.config.signers = [ada.publicKey, mallory.publicKey]
    await deploy(one, 10, 0)
    await deploy(two, 20, 10, mallory)
    target.config.signers = [ada.publicKey]
    await deploy(three, 30, 20)
    const refused = { outcome: 'refused', reason: `release ${two.id} is not what was signed last` }
    expect((await target.run('revert', three, { token: 30 })).verdict).toMatchObject(refused)
    target.holdLock(31)
    expect((await target.run('activate', two, { token: 31 })).verdict).toMatchObject(refused)
    target.config.restart_command = 'false'
    await prepare(one, await signed(one, { serial: 40, replaces: 30 }), 31)
    expect((await target.run('activate', one, { token: 31 })).verdict).toMatchObject({ outcome: 'failed' })
    target.config.restart_command = null
    expect((await target.run('activate', one, { token: 31 })).verdict).toMatchObject({ outcome: 'done' })
  })

  it('neither migrates nor activates what a key has signed from the moment at which it is taken out', async () => {
    target.config.signers = [ada.publicKey, mallory.publicKey]
    await deploy(one, 10, 0)
    const rollout = await signed(two, { serial: 20, replaces: 10 }, mallory)
    target.holdLock(20)
    expect((await prepare(two, rollout, 20)).verdict).toMatchObject({ outcome: 'done' })
    target.latest = { ...target.config, signers: [ada.publicKey] }
    for (const action of ['migrate', 'activate'] as const) {
      expect((await target.run(action, two, { rollout, token: 20 })).verdict).toMatchObject({
        outcome: 'refused',
        reason: `release ${two.id} is not what was signed last`,
        current: one.id,
      })
    }
  })

  it('goes back to nothing that a key has signed from the moment at which it is taken out', async () => {
    target.config.signers = [ada.publicKey, mallory.publicKey]
    await deploy(one, 10, 0, mallory)
    await deploy(two, 20, 10)
    target.latest = { ...target.config, signers: [ada.publicKey] }
    expect((await target.run('revert', two, { token: 20 })).verdict).toMatchObject({
      outcome: 'refused',
      reason: `release ${one.id} is not what was signed last`,
      current: two.id,
    })
  })

  it('activates nothing unsigned from the moment at which somebody has to sign', async () => {
    target.config.signers = []
    await target.deploy(one, 5)
    await prepare(two, '', 5)
    target.latest = { ...target.config, signers: [ada.publicKey] }
    expect((await target.run('activate', two, { token: 5 })).verdict).toMatchObject({
      outcome: 'refused',
      current: one.id,
    })
  })

  it('goes back also where SSM does not say who signs now, and activates nothing then', async () => {
    await deploy(one, 10, 0)
    await deploy(two, 20, 10)
    workshop.bucket.documents.delete(target.root)
    const { verdict, progress } = await target.run('revert', two, { token: 20 })
    expect(verdict).toMatchObject({ outcome: 'done', current: one.id })
    expect(progress).toContain('going back by the keys that were known')
    expect((await target.run('activate', two, { token: 20 })).verdict).toMatchObject({
      outcome: 'failed',
      current: one.id,
    })
  })

  it('goes no second step back to what ran before anything had to be signed, where activations fail', async () => {
    target.config.signers = []
    await target.deploy(one, 5)
    target.config.signers = [ada.publicKey]
    await deploy(two, 10, 0)
    await deploy(three, 20, 10)
    const broken = join(target.root, 'broken')
    target.config.restart_command = `test ! -e ${broken}`
    writeFileSync(broken, '')
    target.holdLock(21)
    for (const release of [two, two, three]) {
      const { verdict } = await target.run('activate', release, { token: 21 })
      expect(verdict).toMatchObject({ outcome: 'failed', current: expect.not.stringContaining(one.id) })
    }
  })

  it('takes no other release for one that is there, though they have one name', async () => {
    await deploy(one, 10, 0)
    const file = target.path('releases', one.id, '.pybundle-release.json')
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), code: two.digests.code }))
    const rollout = await signed(one, { serial: 20, replaces: 10 })
    expect((await prepare(one, rollout, 20)).verdict).toMatchObject({
      outcome: 'refused',
      reason: `release ${one.id} is here already, made of something else`,
    })
  })

  it('takes what is signed by nobody once signers are off, and forgets what was signed', async () => {
    await deploy(one, 10, 0)
    target.config.signers = []
    await target.deploy(two, 20)
    expect((await target.run('status')).verdict.current).toBe(two.id)
    expect((await target.run('revert', two, { token: 20 })).verdict.current).toBe(one.id)
  })

  it('makes a virtualenv of the wheels that were signed, not of others with the same requirements', async () => {
    const genuine = join(target.root, 'genuine.pybundle')
    const exchanged = join(target.root, 'exchanged.pybundle')
    writeFileSync(genuine, workshop.bucket.body('staging/guestbook/bundles/a.pybundle'))
    const python = (await thisPython()).executable
    const bundle = pythonOutput(python, [EXCHANGE_WHEEL, genuine, exchanged])
    const digests = { ...one.digests, bundle }
    const forged = { id: releaseId(digests), digests }
    const record = JSON.parse(workshop.bucket.body(releaseKey(SCOPE, one.id)).toString())
    const put = workshop.bucket.put('staging/guestbook/bundles/exchanged.pybundle', readFileSync(exchanged))
    const forgedRecord = { ...record, release: forged.id, bundle: { ...put, digest: bundle } }
    workshop.bucket.put(releaseKey(SCOPE, forged.id), JSON.stringify(forgedRecord))
    const versionOf = ({ id }: PublishedRelease) =>
      pythonOutput(target.path('releases', id, '.venv/bin/python'), [
        '-c',
        'import alpha; print(alpha.VERSION)',
      ])

    target.config.signers = [ada.publicKey, mallory.publicKey]
    await prepare(forged, await signed(forged, { serial: 10 }, mallory))
    expect(versionOf(forged)).toBe('exchanged')
    target.config.signers = [ada.publicKey]
    await prepare(one, await signed(one, { serial: 20 }))
    expect(versionOf(one)).toBe('1.0')
  })

  it('says what is missing where it has no ssh-keygen', async () => {
    const rollout = await signed(one, {})
    const needed = execFileSync('sh', ['-c', 'command -v sh; command -v nsenter; true'], { encoding: 'utf8' })
    for (const path of needed.trim().split('\n')) symlinkSync(path, join(target.root, basename(path)))
    target.environment.PATH = target.root
    const { verdict } = await prepare(one, rollout)
    expect(verdict).toMatchObject({
      outcome: 'refused',
      reason: 'this target has no ssh-keygen to verify with: install OpenSSH 8.2 or later',
    })
  })

  it('waits for no ssh-keygen that never ends', async () => {
    writeFileSync(`${target.root}/ssh-keygen`, '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 })
    target.environment.PATH = `${target.root}:${target.environment.PATH}`
    target.alterPart('verify', 'VERIFY_SECONDS = 20', 'VERIFY_SECONDS = 1')
    expect((await prepare(one, await signed(one, {}))).verdict).toMatchObject({
      outcome: 'refused',
      reason: 'ssh-keygen did not answer within 1 s',
    })
  })

  it('believes no ssh-keygen that does not know how to verify', async () => {
    const folder = target.root
    writeFileSync(`${folder}/ssh-keygen`, '#!/bin/sh\necho "unknown option -- Y" >&2\nexit 1\n', {
      mode: 0o755,
    })
    target.environment.PATH = `${folder}:${target.environment.PATH}`
    const { verdict } = await prepare(one, await signed(one, {}))
    expect(verdict).toMatchObject({ outcome: 'refused', log: 'unknown option -- Y' })
  })
})
