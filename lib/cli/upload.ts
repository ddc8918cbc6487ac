import type { ArtifactStore } from '../aws/artifact-store.ts'
import { DIGEST_METADATA, REQUEST_METADATA } from '../release/artifact-metadata.ts'
import { type Artifact, formatSize } from './artifacts.ts'
import { similarBundle } from './similar-bundle.ts'
import { step } from './steps.ts'
import { isStored } from './stored-artifact.ts'

/** Uploads what is not in the bucket yet. */
export async function uploadArtifact(
  store: ArtifactStore,
  artifact: Artifact,
  request: string,
): Promise<void> {
  const { key, digest, local } = artifact
  if (!local) return
  const name = `${key.endsWith('.pybundle') ? 'bundle' : 'code'} ${digest.slice(0, 12)}`
  await step(`Uploading ${name}`, async ({ news, result }) => {
    if (await isStored(store, artifact)) {
      result(`The bucket has ${name} already`)
      return
    }
    let told = 0
    const { sent } = await store.uploadFile(key, local.file, {
      metadata: { [REQUEST_METADATA]: request, [DIGEST_METADATA]: digest },
      like: await similarBundle(store, key, local),
      onProgress: (sent, total) => {
        const tenths = Math.floor((10 * sent) / total)
        if (tenths > told && sent < total) news(`${tenths}0 % of ${formatSize(total)}`)
        told = tenths
      },
    })
    result(`Uploaded ${name} (${describeSent(sent, local.size)})`)
  })
}

function describeSent(sent: number, size: number): string {
  const whole = formatSize(size)
  return sent === size ? whole : `${formatSize(sent)} of ${whole}, the rest is in the bucket already`
}
