import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { artifactStore } from '../../lib/aws/artifact-store.ts'
import { uploadArtifact } from '../../lib/cli/upload.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { RETIRED, RETIRED_TAG } from '../../lib/release/retention.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { type Bucket, startBucket } from './bucket.ts'

const publisherOf = ({ env }: Bucket) => {
  vi.spyOn(console, 'error').mockImplementation(() => {})
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  onTestFinished(() => {
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
  })
  return artifactStore({ bucket: 'artifacts', region: env.AWS_REGION })
}

const KEY = 'staging/shop/code/one.tar.gz'

it.each([
  ['is uploaded anew where it is retired', { [RETIRED_TAG]: RETIRED }, 2],
  ['is not uploaded again where it has other tags', { team: 'shop' }, 1],
  ['is not uploaded again where it has none', {}, 1],
])('an artifact that is there %s', async (_what, tags, versions) => {
  const store = publisherOf(await startBucket())
  const file = join(temporaryFolder(), 'code.tar.gz')
  writeFileSync(file, 'code')
  const artifact = { key: KEY, digest: sha256('code'), local: { file, size: 4 } }

  const seen = new Set<string | undefined>()
  await uploadArtifact(store, artifact, 'request-1')
  const first = await store.head(KEY)
  await store.writeTags(KEY, first?.versionId ?? '', tags)
  await uploadArtifact(store, artifact, 'request-2')
  for (const version of [first, await store.head(KEY)]) seen.add(version?.versionId)
  expect(seen.size).toBe(versions)
  expect(await store.readTags(KEY)).toEqual(versions === 2 ? {} : tags)
})

it('a copy for another environment has no tags of where it came from', async () => {
  const bucket = await startBucket()
  const store = publisherOf(bucket)
  await bucket.createOnly(KEY, 'code')
  const { versionId = '' } = (await store.head(KEY)) ?? {}
  await store.writeTags(KEY, versionId, { [RETIRED_TAG]: RETIRED })
  const key = 'production/shop/code/one.tar.gz'
  await store.transfer({ from: store, object: { key: KEY, versionId }, key, metadata: {} })
  expect(await store.readTags(key)).toEqual({})
})
