import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isSignedBy } from '../../lib/cli/ssh-signature.ts'
import { releaseKey, requestKey, requestsPrefix, stateKey } from '../../lib/release/keys.ts'
import { releaseId } from '../../lib/release/release.ts'
import { type DeployRequest, type Request, request as requestSchema } from '../../lib/release/request.ts'
import { EMPTY_STATE, type ServedRelease, serveRelease } from '../../lib/release/state.ts'
import { readStatement, type Statement } from '../../lib/release/statement.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { Signer } from '../signer.ts'
import { type Bucket, startBucket } from './bucket.ts'
import { pybundle, teamRepository } from './team.ts'

const PRODUCTION = { environment: 'production', app: 'shop' }
const DIGESTS = { bundle: 'b'.repeat(64), code: 'c'.repeat(64) }
const SERVED: ServedRelease = {
  release: releaseId(DIGESTS),
  ...DIGESTS,
  request: '20260101t000000z-00000000',
}

/** A repository whose production is signed for by `ada`, who knows what `others` sign. */
async function team(ada: Signer, others: readonly Signer[] = []) {
  const repository = await teamRepository()
  const signers = JSON.stringify(others.map(({ publicKey }) => publicKey))
  const place = '[environments.production]\nbucket = "artifacts"\n'
  const configuration = readFileSync(join(repository.folder, 'pybundle.toml'), 'utf8')
  const signing = `${place}signing_key = "${ada.file}"\nsigners = ${signers}\n`
  repository.write({ 'pybundle.toml': configuration.replace(place, signing) })
  await repository.commit()
  const bucket = await startBucket()
  const run = (command: string, ...args: string[]) =>
    pybundle(repository.folder, [command, '--detach', ...args], {
      ...bucket.env,
      XDG_CACHE_HOME: temporaryFolder(),
    })
  return { bucket, run, repository }
}

async function asked(bucket: Bucket): Promise<Request | undefined> {
  const found = (await bucket.list(requestsPrefix(PRODUCTION))).at(-1)
  return found && requestSchema.parse(await bucket.readJson(found.key))
}

/** What production runs, as somebody signed for it or nobody did. */
async function serve(bucket: Bucket, signer: Signer | undefined, changes: Partial<Statement> = {}) {
  const { release, bundle, code, request: id = '' } = SERVED
  const said = {
    format: 1,
    request: id,
    bucket: 'artifacts',
    action: 'deploy',
    ...PRODUCTION,
    bundle,
    code,
    serial: 7,
    replaces: 0,
    ...changes,
  }
  const pinned = (key: string, digest: string) => ({
    key: `production/shop/${key}`,
    digest,
    versionId: 'v',
    size: 1,
  })
  const artifacts = { bundle: pinned('bundles/b.pybundle', bundle), code: pinned('code/c.tar.gz', code) }
  const envelope = {
    format: 1,
    id,
    action: 'deploy',
    ...PRODUCTION,
    requestedBy: 'a',
    requestedAt: new Date(),
  }
  const signed = signer && (await signer.sign(said))
  await bucket.createOnly(requestKey(PRODUCTION, id), JSON.stringify({ ...envelope, ...artifacts, signed }))
  await bucket.createOnly(
    releaseKey(PRODUCTION, release),
    JSON.stringify({ format: 1, release, ...artifacts }),
  )
  const older = { ...SERVED, release: 'd'.repeat(12) }
  const state = serveRelease(serveRelease(EMPTY_STATE, SERVED, 1), older, 2)
  const served = changes.action === 'rollback' ? state : serveRelease(EMPTY_STATE, SERVED, 1)
  await bucket.createOnly(stateKey(PRODUCTION), JSON.stringify({ ...served, desired: SERVED }))
}

const TO_PRODUCTION = ['--environment', 'production']

describe('where the configuration names a signing_key', () => {
  it('publish-release signs for the bytes that were made here', async () => {
    const ada = new Signer(temporaryFolder())
    const { bucket, run } = await team(ada)
    const began = Date.now()
    expect((await run('publish-release', ...TO_PRODUCTION)).code).toBe(0)
    const { signed, bundle, code } = (await asked(bucket)) as DeployRequest
    const said = signed && readStatement(signed)
    expect(said).toMatchObject({ ...PRODUCTION, action: 'deploy', bundle: bundle.digest, code: code.digest })
    expect(said?.serial).toBeGreaterThanOrEqual(began)
    expect(said?.replaces).toBe(0)
    expect(await isSignedBy([ada.publicKey], signed?.statement ?? '', signed?.signature ?? '')).toBe(true)
  })

  it.each(['repair', 'publish-code'])('%s signs anew for what a colleague signed', async (command) => {
    const [ada, grace] = [new Signer(temporaryFolder()), new Signer(temporaryFolder())]
    const { bucket, run } = await team(ada, [grace])
    await serve(bucket, grace)
    expect(await run(command, ...TO_PRODUCTION)).toMatchObject({ code: 0 })
    const request = await asked(bucket)
    const said = request && 'signed' in request && request.signed && readStatement(request.signed)
    expect(said).toMatchObject({ action: request?.action, bundle: SERVED.bundle, replaces: 7 })
  })

  it.each([
    ['repair', undefined, {}],
    ['repair', 'mallory', {}],
    ['repair', 'grace', { code: 'd'.repeat(64) }],
    ['repair', 'grace', { environment: 'staging' }],
    ['repair', 'grace', { bucket: 'other' }],
    ['publish-code', 'mallory', {}],
    ['rollback', 'mallory', { action: 'rollback' as const }],
  ])('%s vouches for nothing that was signed by %s with %j', async (command, who, changes) => {
    const [ada, grace, mallory] = [1, 2, 3].map(() => new Signer(temporaryFolder())) as [
      Signer,
      Signer,
      Signer,
    ]
    const { bucket, run } = await team(ada, [grace])
    await serve(bucket, who === 'mallory' ? mallory : who && grace ? grace : undefined, changes)
    const { code, err } = await run(command, ...TO_PRODUCTION)
    expect({ code, err }).toMatchObject({
      code: 1,
      err: expect.stringContaining('is signed by nobody you know'),
    })
    expect((await bucket.list(requestsPrefix(PRODUCTION))).length).toBe(1)
  })

  it('vouches for no release that is called otherwise than its bytes', async () => {
    const [ada, grace] = [new Signer(temporaryFolder()), new Signer(temporaryFolder())]
    const { bucket, run } = await team(ada, [grace])
    await serve(bucket, grace)
    const { body = '', eTag } = (await bucket.readText(stateKey(PRODUCTION))) ?? {}
    await bucket.replace(stateKey(PRODUCTION), body.replaceAll(SERVED.release, 'e'.repeat(12)), eTag)
    const { code, err } = await run('repair', ...TO_PRODUCTION)
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining('nobody you know') })
  })

  it('believes no serial that nobody it knows has signed', async () => {
    const [ada, mallory] = [new Signer(temporaryFolder()), new Signer(temporaryFolder())]
    const { bucket, run } = await team(ada)
    await serve(bucket, mallory, { serial: Date.now() + 3_000_000 })
    const { err } = await run('publish-release', ...TO_PRODUCTION)
    const { signed, bundle, code } = (await asked(bucket)) as DeployRequest
    const said = signed && readStatement(signed)
    expect(said?.replaces).toBe(0)
    expect(said?.serial).toBeLessThanOrEqual(Date.now())
    const release = releaseId({ bundle: bundle.digest, code: code.digest })
    expect(err).toContain(
      `Signing for release ${release} of production: bundle ${bundle.digest.slice(0, 12)}`,
    )
  })

  it('promote signs for its own environment what another one runs unsigned', async () => {
    const ada = new Signer(temporaryFolder())
    const { bucket, run } = await team(ada)
    const code = await runInStaging({ bucket, run })
    expect(await run('promote', '--from', 'staging', '--to', 'production')).toMatchObject({ code: 0 })
    const { signed } = (await asked(bucket)) as DeployRequest
    expect(signed && readStatement(signed)).toMatchObject({
      ...PRODUCTION,
      action: 'promote',
      code: code.digest,
    })
  })

  it('promote writes nothing where only the record in the other environment says so', async () => {
    const ada = new Signer(temporaryFolder())
    const { bucket, run } = await team(ada)
    await runInStaging({ bucket, run }, 'staging/shop/requests/mine.request')
    const before = await bucket.keys()
    expect(await run('promote', '--from', 'staging', '--to', 'production')).toMatchObject({
      code: 1,
      err: expect.stringContaining(
        'has "staging/shop/requests/mine.request" for its code, which is none of shop there',
      ),
    })
    expect(await bucket.keys()).toEqual(before)
  })

  it.each([
    [
      'there is none, before anything is uploaded',
      '~/.ssh/nobody',
      /^there is no file ".*\/\.ssh\/nobody"/,
      [],
    ],
    ['it is no key', 'shop.py', /could not be signed with ".*shop\.py": \w/, expect.anything()],
  ])('says what is wrong with the key where %s', async (_what, key, message, uploaded) => {
    const ada = new Signer(temporaryFolder())
    const { bucket, run, repository } = await team(ada)
    const configuration = readFileSync(join(repository.folder, 'pybundle.toml'), 'utf8')
    repository.write({ 'pybundle.toml': configuration.replace(ada.file, key) })
    const { code, err } = await run('publish-release', ...TO_PRODUCTION, '--dirty')
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringMatching(message) })
    expect(await bucket.keys()).toEqual(uploaded)
    expect(await asked(bucket)).toBeUndefined()
  })

  it('publish-code takes an archive that is there', async () => {
    const ada = new Signer(temporaryFolder())
    const { bucket, run, repository } = await team(ada)
    await serve(bucket, ada)
    const file = `${temporaryFolder()}/by-hand.tar.gz`
    await repository.git('archive', '--output', file, 'HEAD')
    expect(await run('publish-code', ...TO_PRODUCTION, '--from', file)).toMatchObject({ code: 0 })
    const { code, revision, signed } = (await asked(bucket)) as DeployRequest
    expect(revision).toBe('by-hand.tar.gz')
    expect(signed && readStatement(signed)?.code).toBe(code.digest)
  })
})

/** What an unsigned environment runs; its record may name another key for the code. */
async function runInStaging(
  { bucket, run }: Pick<Awaited<ReturnType<typeof team>>, 'bucket' | 'run'>,
  codeKey?: string,
) {
  const staging = { environment: 'staging', app: 'shop' }
  await run('publish-release', '--environment', 'staging')
  const [found] = await bucket.list(requestsPrefix(staging))
  const { id, bundle, code } = requestSchema.parse(await bucket.readJson(found?.key ?? '')) as DeployRequest
  const head = async (key: string) => (await bucket.head(key)) ?? { versionId: '', size: 0 }
  const pinned = async ({ key, digest }: typeof bundle) => {
    const { versionId, size } = await head(key)
    return { key, digest, versionId, size }
  }
  const record = {
    format: 1,
    release: SERVED.release,
    bundle: await pinned(bundle),
    code: { ...(await pinned(code)), ...(codeKey && { key: codeKey }) },
  }
  await bucket.createOnly(releaseKey(staging, SERVED.release), JSON.stringify(record))
  const current = { ...SERVED, bundle: bundle.digest, code: code.digest, request: id }
  await bucket.createOnly(stateKey(staging), JSON.stringify({ ...EMPTY_STATE, current }))
  return code
}
