import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Tag } from '@aws-sdk/client-s3'
import type { Blob, Blobs } from './blobs.ts'
import type { Checksum } from './checksums.ts'
import { readRecords, removeRecord, writeRecord } from './records.ts'

export interface ObjectVersion {
  key: string
  /** `null` where the bucket had no versioning when it was written. */
  versionId: string
  /** Grows with every write to the bucket; a later write to a key has the greater one. */
  sequencer: string
  lastModified: string
  isDeleteMarker: boolean
  size: number
  /** Without its quotes. */
  eTag: string
  content: Blob[]
  attributes: ObjectAttributes
  tags: Tag[]
  checksum?: Checksum
  parts?: ObjectPart[]
}

/** What the uploader said about the object, as members of the SDK's inputs and outputs. */
export interface ObjectAttributes {
  CacheControl?: string
  ContentDisposition?: string
  ContentEncoding?: string
  ContentLanguage?: string
  ContentType?: string
  /** ISO 8601 */
  Expires?: string
  WebsiteRedirectLocation?: string
  StorageClass?: string
  ServerSideEncryption?: string
  SSEKMSKeyId?: string
  BucketKeyEnabled?: boolean
  Metadata?: Record<string, string>
}

export interface ObjectPart {
  number: number
  size: number
  checksum?: Checksum
}

export type VersionDraft = Omit<ObjectVersion, 'versionId' | 'sequencer'>

/** All versions of all keys of a bucket: in memory, and each in a file of its own. */
export class Versions {
  private readonly directory: string
  private readonly blobs: Blobs
  /** Newest first. */
  private readonly byKey = new Map<string, ObjectVersion[]>()
  private sortedKeys: string[] | undefined
  private lastSequence = 0

  constructor(directory: string, blobs: Blobs) {
    this.directory = directory
    this.blobs = blobs
    const records = readRecords<ObjectVersion>(directory)
    for (const record of records) this.byKey.set(record.key, [...this.of(record.key), record])
    for (const versions of this.byKey.values()) versions.sort((a, b) => (a.sequencer < b.sequencer ? 1 : -1))
    for (const { sequencer } of records) {
      this.lastSequence = Math.max(this.lastSequence, Number.parseInt(sequencer, 16))
    }
  }

  /** In the order of their UTF-8 bytes, as S3 lists them. */
  keys(): readonly string[] {
    this.sortedKeys ??= [...this.byKey.keys()].sort(compareBytes)
    return this.sortedKeys
  }

  of(key: string): readonly ObjectVersion[] {
    return this.byKey.get(key) ?? []
  }

  /** The newest one unless it is a delete marker. */
  current(key: string): ObjectVersion | undefined {
    const [newest] = this.of(key)
    return newest?.isDeleteMarker ? undefined : newest
  }

  *all(): Generator<ObjectVersion> {
    for (const versions of this.byKey.values()) yield* versions
  }

  get isEmpty(): boolean {
    return this.byKey.size === 0
  }

  /** Without versioning it replaces the one whose id is `null`. */
  add(draft: VersionDraft, isVersioned: boolean): ObjectVersion {
    const versionId = isVersioned ? randomBytes(16).toString('hex') : 'null'
    const version = { ...draft, versionId, sequencer: this.nextSequencer() }
    const replaced = this.of(draft.key).find((old) => old.versionId === versionId)
    writeRecord(this.file(version), version)
    this.set(
      draft.key,
      [version, ...this.of(draft.key)].filter((old) => old !== replaced),
    )
    if (replaced) this.blobs.remove(replaced.content)
    return version
  }

  retag(version: ObjectVersion, tags: Tag[]): void {
    writeRecord(this.file(version), { ...version, tags })
    version.tags = tags
  }

  remove(version: ObjectVersion): void {
    removeRecord(this.file(version))
    this.set(
      version.key,
      this.of(version.key).filter((other) => other !== version),
    )
    this.blobs.remove(version.content)
  }

  private set(key: string, versions: ObjectVersion[]): void {
    if (versions.length === 0 || !this.byKey.has(key)) this.sortedKeys = undefined
    if (versions.length === 0) this.byKey.delete(key)
    else this.byKey.set(key, versions)
  }

  private nextSequencer(): string {
    this.lastSequence = Math.max(this.lastSequence + 1, Date.now() * 1000)
    return this.lastSequence.toString(16).toUpperCase().padStart(16, '0')
  }

  /** A key may be longer than a file name, and differ from another in case only. */
  private file({ key, versionId }: ObjectVersion): string {
    return join(this.directory, `${createHash('sha256').update(key).digest('hex')}-${versionId}.json`)
  }
}

export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
