import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Tag } from '@aws-sdk/client-s3'
import type { Blobs, WrittenBlob } from './blobs.ts'
import type { Algorithm, ChecksumType } from './checksums.ts'
import { noSuchUpload } from './errors.ts'
import { fileNames, readRecord, readRecords, removeRecord, writeRecord } from './records.ts'
import type { ObjectAttributes } from './versions.ts'

export const MAX_PARTS = 10_000

export interface Upload {
  uploadId: string
  key: string
  initiated: string
  attributes: ObjectAttributes
  tags: Tag[]
  /** Absent where the client chose none: the object then gets a CRC64NVME. */
  algorithm?: Algorithm
  checksumType?: ChecksumType
}

export interface UploadedPart extends WrittenBlob {
  number: number
  lastModified: string
}

interface OpenUpload {
  upload: Upload
  parts: Map<number, UploadedPart>
}

/** The multipart uploads of a bucket that are neither completed nor aborted, with a file for each part. */
export class Uploads {
  private readonly directory: string
  private readonly blobs: Blobs
  private readonly open = new Map<string, OpenUpload>()

  constructor(directory: string, blobs: Blobs) {
    this.directory = directory
    this.blobs = blobs
    for (const uploadId of fileNames(directory)) {
      // Without its record, the upload was being begun or ended when the process died.
      if (!existsSync(this.file(uploadId))) continue
      const upload = readRecord<Upload>(this.file(uploadId))
      const parts = readRecords<UploadedPart>(join(directory, uploadId, 'parts'))
      this.open.set(uploadId, { upload, parts: new Map(parts.map((part) => [part.number, part])) })
    }
  }

  begin(draft: Omit<Upload, 'uploadId' | 'initiated'>): Upload {
    const uploadId = randomBytes(24).toString('hex')
    const upload = { ...draft, uploadId, initiated: new Date().toISOString() }
    writeRecord(this.file(uploadId), upload)
    this.open.set(uploadId, { upload, parts: new Map() })
    return upload
  }

  find(key: string, uploadId: string): OpenUpload {
    const found = this.open.get(uploadId)
    if (found?.upload.key !== key) throw noSuchUpload(uploadId)
    return found
  }

  /** Sending a part again replaces it. */
  addPart({ key, uploadId }: Upload, part: UploadedPart): void {
    const { parts } = this.find(key, uploadId)
    writeRecord(this.partFile(uploadId, part.number), part)
    const replaced = parts.get(part.number)
    parts.set(part.number, part)
    if (replaced) this.blobs.remove([replaced])
  }

  /** Blobs of parts that are not in `kept` go too. */
  end({ key, uploadId }: Upload, kept: readonly UploadedPart[] = []): void {
    const { parts } = this.find(key, uploadId)
    this.open.delete(uploadId)
    removeRecord(join(this.directory, uploadId))
    this.blobs.remove([...parts.values()].filter((part) => !kept.includes(part)))
  }

  list(): Upload[] {
    return [...this.open.values()].map(({ upload }) => upload)
  }

  partsOf({ key, uploadId }: Upload): UploadedPart[] {
    return [...this.find(key, uploadId).parts.values()].sort((a, b) => a.number - b.number)
  }

  private file(uploadId: string): string {
    return join(this.directory, uploadId, 'upload.json')
  }

  private partFile(uploadId: string, number: number): string {
    return join(this.directory, uploadId, 'parts', `${number}.json`)
  }
}
