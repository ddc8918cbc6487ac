import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Upload } from '@aws-sdk/lib-storage'
import { type Destination, s3Client } from './clients.ts'
import { type ObjectStore, objectStore } from './object-store.ts'

export interface UploadOptions {
  metadata: Record<string, string>
  onProgress?: (sentBytes: number, totalBytes: number) => void
}

export interface Transfer {
  from: ArtifactStore
  object: { key: string; versionId: string }
  key: string
  metadata: Record<string, string>
}

/** The bucket as a publisher sees it: an object store that also takes files. */
export interface ArtifactStore extends ObjectStore {
  readonly destination: Destination
  uploadFile(key: string, file: string, options: UploadOptions): Promise<{ versionId: string }>
  /** Within S3 where both are reached the same way, through this machine otherwise. */
  transfer(transfer: Transfer): Promise<void>
}

export function artifactStore(destination: Destination): ArtifactStore {
  const s3 = s3Client(destination)
  const objects = objectStore(s3, destination.bucket)
  const store: ArtifactStore = {
    ...objects,
    destination,

    async uploadFile(key, file, { metadata, onProgress }) {
      const { size } = await stat(file)
      const params = {
        Bucket: destination.bucket,
        Key: key,
        Body: createReadStream(file),
        Metadata: metadata,
      }
      const upload = new Upload({ client: s3, params })
      upload.on('httpUploadProgress', ({ loaded }) => onProgress?.(loaded ?? 0, size))
      const done = await upload.done()
      return { versionId: done.VersionId ?? 'null' }
    },

    async transfer({ from, object, key, metadata }) {
      if (isReachedAlike(from.destination, destination)) {
        await objects.copy({ ...object, bucket: from.bucket }, key, metadata)
      } else {
        await carry({ from, object, key, metadata }, store)
      }
    },
  }
  return store
}

function isReachedAlike(one: Destination, other: Destination): boolean {
  return one.region === other.region && one.profile === other.profile
}

async function carry({ from, object, key, metadata }: Transfer, to: ArtifactStore): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pybundle-'))
  const file = join(folder, 'artifact')
  try {
    await pipeline(await from.readStream(object.key, object.versionId), createWriteStream(file))
    await to.uploadFile(key, file, { metadata })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
