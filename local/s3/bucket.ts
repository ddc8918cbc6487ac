import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Blobs } from './blobs.ts'
import { readRecord, writeRecord } from './records.ts'
import { Uploads } from './uploads.ts'
import { type ObjectVersion, type VersionDraft, Versions } from './versions.ts'

export type Versioning = 'Enabled' | 'Suspended' | undefined

/** One bucket and the folder it lives in. */
export class Bucket {
  readonly name: string
  readonly created: Date
  readonly blobs: Blobs
  readonly versions: Versions
  readonly uploads: Uploads
  private readonly directory: string

  constructor(directory: string, name: string) {
    this.directory = directory
    this.name = name
    this.created = new Date(readRecord<{ created: string }>(join(directory, 'bucket.json')).created)
    this.blobs = new Blobs(join(directory, 'blobs'))
    this.versions = new Versions(join(directory, 'versions'), this.blobs)
    this.uploads = new Uploads(join(directory, 'uploads'), this.blobs)
    this.removeLeftovers()
  }

  static create(directory: string, name: string): Bucket {
    rmSync(directory, { recursive: true, force: true })
    writeRecord(join(directory, 'bucket.json'), { name, created: new Date().toISOString() })
    return new Bucket(directory, name)
  }

  get versioning(): Versioning {
    const status = /<Status>(Enabled|Suspended)<\/Status>/.exec(this.document('versioning') ?? '')?.[1]
    return status as Versioning
  }

  add(draft: VersionDraft): ObjectVersion {
    return this.versions.add(draft, this.versioning === 'Enabled')
  }

  /** A configuration document, as the client sent it. */
  document(name: string): string | undefined {
    const file = this.documentFile(name)
    return existsSync(file) ? readFileSync(file, 'utf8') : undefined
  }

  putDocument(name: string, text: string): void {
    const file = this.documentFile(name)
    mkdirSync(join(this.directory, 'documents'), { recursive: true })
    writeFileSync(`${file}.tmp`, text)
    renameSync(`${file}.tmp`, file)
  }

  removeDocument(name: string): void {
    rmSync(this.documentFile(name), { force: true })
  }

  /** Unfinished multipart uploads do not keep a bucket from being deleted. */
  get isEmpty(): boolean {
    return this.versions.isEmpty
  }

  /** Its record goes first: without it, what a killed process left of the folder is no bucket. */
  destroy(): void {
    rmSync(join(this.directory, 'bucket.json'))
    rmSync(this.directory, { recursive: true, force: true })
  }

  private documentFile(name: string): string {
    return join(this.directory, 'documents', name)
  }

  /** What a process that was killed left undone. */
  private removeLeftovers(): void {
    const kept = new Set([...this.versions.all()].flatMap(({ content }) => content.map(({ id }) => id)))
    for (const upload of this.uploads.list()) {
      const parts = this.uploads.partsOf(upload)
      // Completed, but not yet forgotten: its parts now belong to the object.
      if (parts.some(({ id }) => kept.has(id))) this.uploads.end(upload, parts)
      else for (const { id } of parts) kept.add(id)
    }
    this.blobs.removeAllBut(kept)
  }
}
