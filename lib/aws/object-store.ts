import type { Readable } from 'node:stream'
import {
  CopyObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  NoSuchKey,
  NotFound,
  PutObjectCommand,
  PutObjectTaggingCommand,
  paginateListObjectsV2,
  type S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3'

/** One version of an object, as S3 describes it. */
export interface StoredObject {
  versionId: string
  eTag: string
  size: number
  lastModified: Date
  metadata: Record<string, string>
  /** Zero also for who may not read them. */
  tagCount: number
}

export interface ListedObject {
  key: string
  lastModified: Date
}

export interface StoredText {
  body: string
  eTag: string
}

export interface ObjectVersion {
  bucket: string
  key: string
  versionId: string
}

/** The bucket as the product uses it: pinned reads, and writes that never overwrite by accident. */
export interface ObjectStore {
  readonly bucket: string
  /** Undefined when there is no such object. */
  head(key: string, versionId?: string): Promise<StoredObject | undefined>
  /** Undefined where there is none, or one of more than `mostBytes`. */
  readText(key: string, mostBytes?: number): Promise<StoredText | undefined>
  readJson(key: string): Promise<unknown | undefined>
  /** Bytes `start` to `end`, both included. */
  readRange(key: string, versionId: string, start: number, end: number): Promise<Uint8Array>
  readStream(key: string, versionId: string): Promise<Readable>
  /** False when the key exists already with another content. */
  createOnly(key: string, body: string): Promise<boolean>
  /** Writes only over the version with this ETag; without one, only where nothing is. False when somebody was faster. */
  replace(key: string, body: string, eTag: string | undefined): Promise<boolean>
  list(prefix: string): Promise<ListedObject[]>
  /** Copies one version within S3, under other metadata; the new object's version. */
  copy(from: ObjectVersion, key: string, metadata: Record<string, string>): Promise<string>
  /** Undefined when there is no such object. */
  readTags(key: string, versionId?: string): Promise<Record<string, string> | undefined>
  /** In place of all tags that the version had; false when there is no such version any more. */
  writeTags(key: string, versionId: string, tags: Record<string, string>): Promise<boolean>
}

export function objectStore(s3: S3Client, bucket: string): ObjectStore {
  const get = (key: string, extra: { VersionId?: string; Range?: string } = {}) =>
    s3.send(new GetObjectCommand({ Bucket: bucket, Key: key, ...extra }))

  const store: ObjectStore = {
    bucket,

    async head(key, versionId) {
      const input = { Bucket: bucket, Key: key, ...(versionId && { VersionId: versionId }) }
      const found = await orUndefined(s3.send(new HeadObjectCommand(input)))
      if (!found) return undefined
      return {
        versionId: found.VersionId ?? 'null',
        eTag: found.ETag ?? '',
        size: found.ContentLength ?? 0,
        lastModified: found.LastModified ?? new Date(0),
        metadata: found.Metadata ?? {},
        tagCount: found.TagCount ?? 0,
      }
    },

    async readText(key, mostBytes = Number.POSITIVE_INFINITY) {
      const found = await orUndefined(get(key))
      if (!found?.Body) return undefined
      if ((found.ContentLength ?? 0) > mostBytes) {
        const { Body } = found
        if ('destroy' in Body) Body.destroy()
        return undefined
      }
      return { body: await found.Body.transformToString(), eTag: found.ETag ?? '' }
    },

    async readJson(key) {
      const text = await store.readText(key)
      return text && JSON.parse(text.body)
    },

    async readRange(key, versionId, start, end) {
      const part = await get(key, { VersionId: versionId, Range: `bytes=${start}-${end}` })
      return part.Body ? part.Body.transformToByteArray() : new Uint8Array()
    },

    async readStream(key, versionId) {
      const object = await get(key, { VersionId: versionId })
      return object.Body as Readable
    },

    createOnly: (key, body) => store.replace(key, body, undefined),

    async replace(key, body, eTag) {
      const condition = eTag ? { IfMatch: eTag } : { IfNoneMatch: '*' }
      try {
        await s3.send(
          new PutObjectCommand({
            Bucket: bucket,
            Key: key,
            Body: body,
            ContentType: 'application/json',
            ...condition,
          }),
        )
        return true
      } catch (error) {
        if (!isLostRace(error)) throw error
        // A retry of a write that had succeeded is refused too: it is ours when the content is.
        return (await store.readText(key))?.body === body
      }
    },

    async list(prefix) {
      const objects: ListedObject[] = []
      for await (const page of paginateListObjectsV2({ client: s3 }, { Bucket: bucket, Prefix: prefix })) {
        for (const { Key, LastModified } of page.Contents ?? []) {
          if (Key && LastModified) objects.push({ key: Key, lastModified: LastModified })
        }
      }
      return objects
    },

    async copy(from, key, metadata) {
      const source = `${from.bucket}/${encodeURIComponent(from.key)}?versionId=${from.versionId}`
      // Tags are of the object that has them: a copy of what is retired is not, and publishers write none.
      const replaced = {
        MetadataDirective: 'REPLACE',
        Metadata: metadata,
        TaggingDirective: 'REPLACE',
      } as const
      const copied = await s3.send(
        new CopyObjectCommand({ Bucket: bucket, Key: key, CopySource: source, ...replaced }),
      )
      return copied.VersionId ?? 'null'
    },

    async readTags(key, versionId) {
      const input = { Bucket: bucket, Key: key, ...(versionId && { VersionId: versionId }) }
      const found = await orUndefined(s3.send(new GetObjectTaggingCommand(input)))
      return found && Object.fromEntries((found.TagSet ?? []).map(({ Key, Value }) => [Key, Value ?? '']))
    },

    async writeTags(key, versionId, tags) {
      const TagSet = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))
      const input = { Bucket: bucket, Key: key, VersionId: versionId, Tagging: { TagSet } }
      return (await orUndefined(s3.send(new PutObjectTaggingCommand(input)))) !== undefined
    },
  }
  return store
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise
  } catch (error) {
    if (error instanceof NoSuchKey || error instanceof NotFound) return undefined
    if (error instanceof S3ServiceException && ABSENT.includes(error.name)) return undefined
    throw error
  }
}

/** An operation on tags has no class for what is not there. */
const ABSENT = ['NoSuchVersion', 'NoSuchKey']
const LOST_RACES = ['PreconditionFailed', 'ConditionalRequestConflict', 'NoSuchKey']

function isLostRace(error: unknown): boolean {
  return error instanceof S3ServiceException && LOST_RACES.includes(error.name)
}
