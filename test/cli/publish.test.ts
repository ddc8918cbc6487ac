import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readManifest } from '../../lib/bundle/read-manifest.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { releaseKey, stateKey } from '../../lib/release/keys.ts'
import { releaseId } from '../../lib/release/release.ts'
import { request } from '../../lib/release/request.ts'
import { EMPTY_STATE } from '../../lib/release/state.ts'
import { type Bucket, startBucket } from './bucket.ts'
import { pybundle, teamRepository } from './team.ts'

const STAGING = { environment: 'staging', app: 'shop' }

let cache: string
beforeAll(() => {
  cache = mkdtempSync(join(tmpdir(), 'pybundle-cache-'))
})
afterAll(() => rmSync(cache, { recursive: true }))

async function publish(command: string, folder: string, bucket: Bucket, ...more: string[]) {
  const args = [command, '--environment', 'staging', '--detach', '--json', ...more]
  const { code, out, err } = await pybundle(folder, args, { ...bucket.env, XDG_CACHE_HOME: cache })
  return { code, err, asked: code === 0 ? JSON.parse(out) : undefined }
}

/** As the functions do when a rollout begins. */
async function deploy(bucket: Bucket, asked: Awaited<ReturnType<typeof publish>>['asked']): Promise<void> {
  const pin = ({ key, digest }: { key: string; digest: string }) => ({ key, digest, versionId: 'v', size: 1 })
  const release = releaseId({ bundle: asked.bundle.digest, code: asked.code.digest })
  const record = {
    format: 1,
    release,
    bundle: pin(asked.bundle),
    code: pin(asked.code),
    revision: asked.revision,
  }
  const desired = { release, bundle: asked.bundle.digest, code: asked.code.digest }
  await bucket.createOnly(releaseKey(STAGING, release), JSON.stringify(record))
  await bucket.createOnly(stateKey(STAGING), JSON.stringify({ ...EMPTY_STATE, desired }))
}

describe('publish-release', () => {
  it('uploads bundle and code, and then asks for exactly these', async () => {
    const [bucket, { folder }] = [await startBucket(), await teamRepository()]
    const { code, asked } = await publish('publish-release', folder, bucket)
    expect(code).toBe(0)
    expect(await bucket.keys()).toEqual([
      `staging/shop/bundles/${asked.bundle.digest}.pybundle`,
      `staging/shop/code/${asked.revision}-${asked.code.digest.slice(0, 12)}.tar.gz`,
      `staging/shop/requests/${asked.id}.request`,
    ])
    expect(request.parse(await bucket.readJson(`staging/shop/requests/${asked.id}.request`))).toMatchObject({
      action: 'deploy',
      environment: 'staging',
      app: 'shop',
      bundle: asked.bundle,
      code: asked.code,
    })
    await expectUploads(bucket, asked)
  })

  it('makes and uploads only what is new', async () => {
    const [bucket, repository] = [await startBucket(), await teamRepository()]
    const first = await publish('publish-release', repository.folder, bucket)
    repository.write({ 'shop.py': 'print("new")\n' })
    await repository.commit()
    const second = await publish('publish-release', join(repository.folder, 'views'), bucket)
    expect(second.asked.bundle).toEqual(first.asked.bundle)
    expect(second.asked.code).not.toEqual(first.asked.code)
    expect(second.err).toMatch(/Reusing bundle .* unchanged since[\s\S]*The bucket has bundle/)
  })

  it('marks a working tree that is published as it is', async () => {
    const [bucket, { folder }] = [await startBucket(), await teamRepository()]
    writeFileSync(join(folder, 'shop.py'), 'print("draft")\n')
    const refused = await publish('publish-release', folder, bucket)
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^uncommitted changes in .*\n {2}shop.py/),
    })
    const { asked } = await publish('publish-release', folder, bucket, '--dirty')
    expect(asked.revision).toMatch(/^[0-9a-f]{12}-dirty$/)
  })
})

describe('publish-code and publish-bundle', () => {
  it('take the other half from what the environment is to run', async () => {
    const [bucket, repository] = [await startBucket(), await teamRepository()]
    const { asked } = await publish('publish-release', repository.folder, bucket)
    await deploy(bucket, asked)
    repository.write({ 'shop.py': 'print("new")\n', 'vendor/alpha/alpha.py': 'version = "1.1"\n' })
    const revision = await repository.commit()

    const code = await publish('publish-code', repository.folder, bucket)
    expect(code.asked).toMatchObject({ bundle: asked.bundle, revision })
    expect(code.asked.code).not.toEqual(asked.code)

    const bundle = await publish('publish-bundle', repository.folder, bucket)
    expect(bundle.asked).toMatchObject({ code: asked.code, revision: asked.revision })
    expect(bundle.asked.bundle).not.toEqual(asked.bundle)
  })

  it('take the code of the revision that is named', async () => {
    const [bucket, repository] = [await startBucket(), await teamRepository()]
    const { asked } = await publish('publish-release', repository.folder, bucket)
    await deploy(bucket, asked)
    repository.write({ 'shop.py': 'print("new")\n' })
    await repository.commit()
    repository.write({ 'shop.py': 'print("draft")\n' })
    const again = await publish('publish-code', repository.folder, bucket, '--revision', 'main~1')
    expect(again.asked).toMatchObject({ code: asked.code, revision: asked.revision })
    expect(again.err).toMatch(/The bucket has code/)
  })

  it('take a bundle that is there: one of format 1 converted, another as it is', async () => {
    const [bucket, repository] = [await startBucket(), await teamRepository()]
    const { asked } = await publish('publish-release', repository.folder, bucket)
    await deploy(bucket, asked)
    const legacy = new URL('../bundle/data/legacy.pybundle', import.meta.url).pathname
    const converted = await publish('publish-bundle', repository.folder, bucket, '--from', legacy)
    expect(converted.err).toMatch(/building alpha[\s\S]*Made bundle/)
    expect(converted.asked).toMatchObject({ code: asked.code })

    const old = join(cache, 'pybundle/bundles')
    const [file = ''] = readdirSync(old).filter((name) =>
      readFileSync(join(old, name)).includes('alpha-1.2-py3-none-any.whl'),
    )
    const again = await publish('publish-bundle', repository.folder, bucket, '--from', join(old, file))
    expect(again.asked.bundle).toEqual(converted.asked.bundle)
    expect(again.err).toMatch(/The bucket has bundle/)
  })

  it.each(['publish-code', 'publish-bundle'])('ask for both the first time: %s', async (command) => {
    const [bucket, { folder }] = [await startBucket(), await teamRepository()]
    const { code, err } = await publish(command, folder, bucket)
    expect(code).toBe(1)
    expect(err).toMatch(/shop was never deployed to staging.*pybundle publish-release --environment staging$/)
    expect(await bucket.keys()).toEqual([])
  })
})

async function expectUploads(
  bucket: Bucket,
  { id, bundle, code }: Record<string, { key: string; digest: string }>,
) {
  for (const uploaded of [bundle, code]) {
    const stored = await bucket.head(uploaded?.key ?? '')
    expect(stored?.metadata).toEqual({ 'pybundle-request': id, 'pybundle-digest': uploaded?.digest })
  }
  const { versionId = '', size = 0 } = (await bucket.head(code?.key ?? '')) ?? {}
  expect(sha256(await bucket.readRange(code?.key ?? '', versionId, 0, size - 1))).toBe(code?.digest)
  const stored = await bucket.head(bundle?.key ?? '')
  const read = (start: number, end: number) =>
    bucket.readRange(bundle?.key ?? '', stored?.versionId ?? '', start, end)
  expect((await readManifest({ size: stored?.size ?? 0, read })).digest).toBe(bundle?.digest)
}
