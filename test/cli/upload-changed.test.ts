import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ListMultipartUploadsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { type ArtifactStore, artifactStore } from '../../lib/aws/artifact-store.ts'
import { MIB } from '../../lib/aws/plan-parts.ts'
import { packBundle } from '../../lib/bundle/pack.ts'
import { readManifest } from '../../lib/bundle/read-manifest.ts'
import { similarBundle } from '../../lib/cli/similar-bundle.ts'
import { uploadArtifact } from '../../lib/cli/upload.ts'
import { bundleKey, releaseKey, stateKey } from '../../lib/release/keys.ts'
import { EMPTY_STATE } from '../../lib/release/state.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { type Bucket, startBucket } from './bucket.ts'

const SCOPE = { environment: 'staging', app: 'shop' }
/** Of the requests, and of the directory that is compared. */
const OVERHEAD = 64 * 1024

beforeEach(() => {
  const quiet = vi.spyOn(console, 'error').mockImplementation(() => {})
  return () => quiet.mockRestore()
})

/** Wheels of random bytes, by name; written again they have other ones. */
class Laptop {
  readonly folder = temporaryFolder()
  readonly wheels = new Map<string, string>()

  /** Sizes in MiB. */
  write(sizes: Record<string, number>): void {
    for (const [name, size] of Object.entries(sizes)) {
      const file = join(this.folder, `${name}-py3-none-any.whl`)
      writeFileSync(file, randomBytes(size * MIB))
      this.wheels.set(name, file)
    }
  }

  async pack() {
    const file = join(this.folder, 'x.pybundle')
    const pip = join(this.folder, 'pip-24.0-py3-none-any.whl')
    writeFileSync(pip, 'pip')
    const platform = { machine: 'x86_64', libc: ['glibc', '2.34'], python: '3.11' } as never
    const digest = await packBundle({ platform, roots: [], wheels: [...this.wheels.values()], pip }, file)
    const size = readFileSync(file).length
    return { key: bundleKey(SCOPE, digest), digest, local: { file, size } }
  }
}

function publisherOf({ env }: Bucket): ArtifactStore {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  return artifactStore({ bucket: 'artifacts', region: env.AWS_REGION })
}

async function start() {
  const bucket = await startBucket()
  const store = publisherOf(bucket)
  const laptop = new Laptop()
  laptop.write({ 'alpha-1.0': 12, 'beta-1.0': 1, 'delta-1.0': 14, 'zeta-1.0': 9 })
  /** How many bytes left the laptop for it. */
  const upload = async () => {
    const artifact = await laptop.pack()
    const before = bucket.received()
    await uploadArtifact(store, artifact, 'request-1')
    return { ...artifact, sent: bucket.received() - before }
  }
  return { bucket, store, laptop, upload }
}

type Uploaded = Awaited<ReturnType<Awaited<ReturnType<typeof start>>['upload']>>

async function expectWhole({ store }: { store: ArtifactStore }, { key, digest, local }: Uploaded) {
  const stored = await store.head(key)
  expect(stored?.metadata).toEqual({ 'pybundle-request': 'request-1', 'pybundle-digest': digest })
  const read = (first: number, last: number) => store.readRange(key, stored?.versionId ?? '', first, last)
  const content = await read(0, (stored?.size ?? 0) - 1)
  expect(Buffer.compare(content, readFileSync(local.file))).toBe(0)
  expect((await readManifest({ size: content.length, read })).digest).toBe(digest)
}

describe('a bundle of which one wheel changed', () => {
  it.each([
    ['to another of the same version and size', { 'beta-1.0': 1 }],
    ['to a larger one', { 'beta-1.0': 3 }],
    ['where it is large', { 'alpha-1.0': 13 }],
    ['at the end', { 'zeta-1.0': 2 }],
    ['and another was added', { 'epsilon-1.0': 1, 'zeta-1.0': 2 }],
  ])('%s leaves the laptop as that wheel and little more', async (_, changed) => {
    const started = await start()
    await started.upload()
    started.laptop.write(changed)
    const uploaded = await started.upload()
    const size = Object.values(changed).reduce((sum, each) => sum + each)
    expect(uploaded.sent).toBeLessThan((size + 10) * MIB + OVERHEAD)
    await expectWhole(started, uploaded)
  })

  it('is compared with what the environment is to run, whatever was uploaded since', async () => {
    const started = await start()
    const { bucket, store, laptop } = started
    const running = await started.upload()
    const { versionId = '', size = 0 } = (await store.head(running.key)) ?? {}
    const served = { release: '0123456789ab', bundle: running.digest, code: running.digest }
    const pin = { key: running.key, versionId, size, digest: running.digest }
    const record = { format: 1, release: served.release, bundle: pin, code: pin }
    await bucket.createOnly(releaseKey(SCOPE, served.release), JSON.stringify(record))
    await bucket.createOnly(stateKey(SCOPE), JSON.stringify({ ...EMPTY_STATE, desired: served }))
    await put(running.key, 'overwritten by hand')
    await put(bundleKey(SCOPE, 'by-hand'), 'no bundle')

    laptop.write({ 'beta-1.0': 1 })
    const uploaded = await started.upload()
    expect(uploaded.sent).toBeLessThan(11 * MIB + OVERHEAD)
    await expectWhole(started, uploaded)
  })
})

describe('an upload of what changed', () => {
  it('leaves nothing behind where it was interrupted, and can be made again', async () => {
    const started = await start()
    const { store, laptop, upload } = started
    await upload()
    laptop.write({ 'beta-1.0': 1 })
    const { key, local } = await laptop.pack()
    const like = await similarBundle(store, key, local)
    const cut = () => {
      throw new Error('the network is down')
    }
    const interrupted = store.uploadFile(key, local.file, { metadata: {}, like, onProgress: cut })
    await expect(interrupted).rejects.toThrow('the network is down')
    expect(await store.head(key)).toBeUndefined()
    expect(await openUploads()).toEqual([])
    const uploaded = await upload()
    expect(uploaded.sent).toBeLessThan(11 * MIB + OVERHEAD)
    await expectWhole(started, uploaded)
  })

  it('may be made by two at once', async () => {
    const started = await start()
    await started.upload()
    started.laptop.write({ 'beta-1.0': 1 })
    const artifact = await started.laptop.pack()
    await Promise.all([1, 2].map(() => uploadArtifact(started.store, artifact, 'request-1')))
    await expectWhole(started, { ...artifact, sent: 0 })
  })
})

describe('a bundle is uploaded whole', () => {
  it('where what was uploaded last is no bundle', async () => {
    const started = await start()
    await put(bundleKey(SCOPE, 'by-hand'), 'no bundle')
    const uploaded = await started.upload()
    expect(uploaded.sent).toBeGreaterThan(uploaded.local.size)
    await expectWhole(started, uploaded)
  })

  it('where the other one turns out to have other bytes than it says', async () => {
    const started = await start()
    const { key, local } = await started.laptop.pack()
    const content = readFileSync(local.file)
    content[4 * MIB] = 255 - (content[4 * MIB] ?? 0)
    await put(key, content)
    started.laptop.write({ 'beta-1.0': 1 })
    const uploaded = await started.upload()
    expect(uploaded.sent).toBeGreaterThan(uploaded.local.size)
    await expectWhole(started, uploaded)
    expect(await openUploads()).toEqual([])
  })
})

async function openUploads() {
  const open = await new S3Client().send(new ListMultipartUploadsCommand({ Bucket: 'artifacts' }))
  return open.Uploads ?? []
}

async function put(Key: string, Body: string | Buffer): Promise<void> {
  await new S3Client().send(new PutObjectCommand({ Bucket: 'artifacts', Key, Body }))
}
