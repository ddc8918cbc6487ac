import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Upload } from '@aws-sdk/lib-storage'
import { type Destination, s3Client } from './clients.ts'
import { type ObjectStore, objectStore } from './object-store.ts'

export interface UploadOptions {
  metadata: Record<string, string>
  onProgress?: (sentBytes: number, totalBytes: number) => void
}

/** The bucket as a publisher sees it: an object store that also takes files. */
export interface ArtifactStore extends ObjectStore {
  uploadFile(key: string, file: string, options: UploadOptions): Promise<{ versionId: string }>
}

export function artifactStore(destination: Destination): ArtifactStore {
  const s3 = s3Client(destination)
  return {
    ...objectStore(s3, destination.bucket),

    async uploadFile(key, file, { metadata, onProgress }) {
      const { size } = await stat(file)
      const upload = new Upload({
        client: s3,
        params: { Bucket: destination.bucket, Key: key, Body: createReadStream(file), Metadata: metadata },
      })
      upload.on('httpUploadProgress', ({ loaded }) => onProgress?.(loaded ?? 0, size))
      const done = await upload.done()
      return { versionId: done.VersionId ?? 'null' }
    },
  }
}
