import { createReadStream, createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { withTemporaryFolder } from '../temporary.ts'
import { type Destination, s3Client } from './clients.ts'
import { type ObjectStore, type ObjectVersion, objectStore } from './object-store.ts'
import { type Part, planParts, type StoredRange } from './plan-parts.ts'
import { uploadParts } from './upload-parts.ts'

export interface UploadOptions {
  metadata: Record<string, string>
  onProgress?: (sentBytes: number, totalBytes: number) => void
  /** An object of which the file has the same bytes. */
  like?: StoredLike | undefined
}

export interface StoredLike extends Omit<ObjectVersion, 'bucket'> {
  same: readonly StoredRange[]
}

export interface Uploaded {
  versionId: string
  /** The bytes that left this machine. */
  sent: number
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
  /** Sends only what the bucket does not have already. */
  uploadFile(key: string, file: string, options: UploadOptions): Promise<Uploaded>
  /** Within S3 where both are reached the same way, through this machine otherwise. */
  transfer(transfer: Transfer): Promise<void>
}

export function artifactStore(destination: Destination): ArtifactStore {
  const s3 = s3Client(destination)
  const objects = objectStore(s3, destination.bucket)
  const store: ArtifactStore = {
    ...objects,
    destination,

    async uploadFile(key, file, options) {
      const { size } = await stat(file)
      const parts = options.like && planParts(size, options.like.same)
      if (!options.like || !parts) return uploadWhole(s3, { ...destination, key, file, size }, options)
      try {
        return await uploadChanged(s3, { ...destination, key, file, parts, like: options.like }, options)
      } catch (error) {
        if (!isRefused(error)) throw error
        return uploadWhole(s3, { ...destination, key, file, size }, options)
      }
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

interface UploadedFile {
  bucket: string
  key: string
  file: string
}

async function uploadWhole(
  s3: S3Client,
  { bucket, key, file, size }: UploadedFile & { size: number },
  { metadata, onProgress }: UploadOptions,
): Promise<Uploaded> {
  const params = { Bucket: bucket, Key: key, Body: createReadStream(file), Metadata: metadata }
  const upload = new Upload({ client: s3, params })
  upload.on('httpUploadProgress', ({ loaded }) => onProgress?.(loaded ?? 0, size))
  const done = await upload.done()
  return { versionId: done.VersionId ?? 'null', sent: size }
}

async function uploadChanged(
  s3: S3Client,
  { bucket, key, file, parts, like }: UploadedFile & { parts: Part[]; like: StoredLike },
  { metadata, onProgress }: UploadOptions,
): Promise<Uploaded> {
  const total = sizeOf(parts)
  let sent = 0
  const onPart = ({ kind, size }: Part) => {
    if (kind === 'upload') sent += size
    onProgress?.(sent, total)
  }
  const from = { ...like, bucket }
  const { versionId } = await uploadParts(s3, { bucket, key, file, from, parts, metadata, onPart })
  return { versionId, sent }
}

function sizeOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { kind, size }) => sum + (kind === 'upload' ? size : 0), 0)
}

/** The older object may be gone, be kept from us, or not be what it says. */
function isRefused(error: unknown): boolean {
  const status = error instanceof S3ServiceException ? (error.$metadata.httpStatusCode ?? 0) : 0
  return status >= 400 && status < 500
}

function isReachedAlike(one: Destination, other: Destination): boolean {
  return one.region === other.region && one.profile === other.profile
}

async function carry({ from, object, key, metadata }: Transfer, to: ArtifactStore): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const file = join(folder, 'artifact')
    await pipeline(await from.readStream(object.key, object.versionId), createWriteStream(file))
    await to.uploadFile(key, file, { metadata })
  })
}
