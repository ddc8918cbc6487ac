import { createReadStream } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
  type UploadPartCommandInput,
  UploadPartCopyCommand,
  type UploadPartCopyCommandInput,
} from '@aws-sdk/client-s3'
import type { ObjectVersion } from './object-store.ts'
import type { CopiedPart, Part } from './plan-parts.ts'

export interface PartsUpload {
  bucket: string
  key: string
  file: string
  /** Where the copied parts come from. */
  from: ObjectVersion
  parts: readonly Part[]
  metadata: Record<string, string>
  onPart?: ((part: Part) => void) | undefined
}

/** Makes one object of parts; nothing is left where that fails, or where the object would not be the file. */
export async function uploadParts(s3: S3Client, upload: PartsUpload): Promise<{ versionId: string }> {
  const { bucket, key, file, metadata } = upload
  const target = { Bucket: bucket, Key: key }
  const begin = new CreateMultipartUploadCommand({ ...target, Metadata: metadata, ...WHOLE_CHECKSUM })
  const { UploadId } = await s3.send(begin)
  try {
    const Parts = await sendParts(s3, upload, UploadId)
    const complete = new CompleteMultipartUploadCommand({
      ...target,
      UploadId,
      MultipartUpload: { Parts },
      // S3 holds this against all bytes, the copied ones included.
      ChecksumCRC32: await checksum(file),
      ChecksumType: WHOLE_CHECKSUM.ChecksumType,
      MpuObjectSize: (await stat(file)).size,
    })
    const { VersionId } = await s3.send(complete)
    return { versionId: VersionId ?? 'null' }
  } catch (error) {
    // The error is what matters; the bucket's lifecycle ends what cannot be ended now.
    await s3.send(new AbortMultipartUploadCommand({ ...target, UploadId })).catch(() => {})
    throw error
  }
}

const WHOLE_CHECKSUM = { ChecksumAlgorithm: 'CRC32', ChecksumType: 'FULL_OBJECT' } as const
const WORKERS = 4

async function sendParts(
  s3: S3Client,
  { bucket, key, file, from, parts, onPart }: PartsUpload,
  uploadId: string | undefined,
): Promise<CompletedPart[]> {
  const handle = await open(file)
  const stop = new AbortController()
  const queue = parts.entries()
  const done: CompletedPart[] = []
  const work = async () => {
    for (const [index, part] of queue) {
      stop.signal.throwIfAborted()
      const target = { Bucket: bucket, Key: key, UploadId: uploadId, PartNumber: index + 1 }
      const { ETag, ChecksumCRC32 } =
        part.kind === 'copy'
          ? await copyPart(s3, { ...target, ...copySource(from, part) }, stop.signal)
          : await sendPart(s3, { ...target, Body: await readPart(handle, part) }, stop.signal)
      done[index] = { PartNumber: index + 1, ETag, ChecksumCRC32 }
      onPart?.(part)
    }
  }
  const workOrStop = () =>
    work().catch((error) => {
      stop.abort(error)
    })
  await Promise.all(Array.from({ length: WORKERS }, workOrStop))
  await handle.close()
  stop.signal.throwIfAborted()
  return done
}

function sendPart(s3: S3Client, input: UploadPartCommandInput, abortSignal: AbortSignal) {
  const { ChecksumAlgorithm } = WHOLE_CHECKSUM
  return s3.send(new UploadPartCommand({ ...input, ChecksumAlgorithm }), { abortSignal })
}

async function copyPart(s3: S3Client, input: UploadPartCopyCommandInput, abortSignal: AbortSignal) {
  const { CopyPartResult } = await s3.send(new UploadPartCopyCommand(input), { abortSignal })
  return CopyPartResult ?? {}
}

function copySource({ bucket, key, versionId }: ObjectVersion, { from, size }: CopiedPart) {
  return {
    CopySource: `${bucket}/${encodeURIComponent(key)}?versionId=${versionId}`,
    CopySourceRange: `bytes=${from}-${from + size - 1}`,
  }
}

async function readPart(handle: FileHandle, { start, size }: Part): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(size), position: start })
  return buffer.subarray(0, bytesRead)
}

async function checksum(file: string): Promise<string> {
  let value = 0
  for await (const chunk of createReadStream(file)) value = crc32(chunk, value)
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes.toString('base64')
}
