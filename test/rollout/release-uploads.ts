import { readFile } from 'node:fs/promises'
import { readManifest } from '../../lib/bundle/read-manifest.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { bundleKey, codeKey } from '../../lib/release/keys.ts'
import { releaseId } from '../../lib/release/release.ts'
import { bundle, codeArchive } from '../lambda/bucket.ts'
import type { MachineCloud } from './machine-cloud.ts'
import { SCOPE } from './machine-settings.ts'

/** An archive holds the time at which it was made: the same text is the same bytes, whichever machine asks. */
const archives = new Map<string, Uint8Array>()

/** Releases made of a text each, and of the one bundle of the app. */
export function releaseUploads(directory: string, cloud: MachineCloud) {
  let uploaded: { key: string; digest: string } | undefined

  async function uploadBundle() {
    if (uploaded) return uploaded
    const content = await readFile(await bundle(directory))
    const read = async (start: number, end: number) => content.subarray(start, end + 1)
    const { digest } = await readManifest({ size: content.length, read })
    const key = bundleKey(SCOPE, digest)
    await cloud.put(key, content)
    uploaded = { key, digest }
    return uploaded
  }

  return async (text: string) => {
    const code = archives.get(text) ?? (await codeArchive(text))
    archives.set(text, code)
    const digest = sha256(code)
    const artifacts = { bundle: await uploadBundle(), code: { key: codeKey(SCOPE, digest), digest } }
    await cloud.put(artifacts.code.key, code)
    return { ...artifacts, release: releaseId({ bundle: artifacts.bundle.digest, code: digest }) }
  }
}
