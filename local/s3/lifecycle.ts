import {
  type BucketLifecycleConfiguration,
  BucketLifecycleConfiguration$,
  type LifecycleRule,
} from '@aws-sdk/client-s3'
import { NormalizedSchema } from '@smithy/core/schema'
import type { Bucket } from './bucket.ts'
import { newObject } from './operations/put.ts'
import { xmlCodec } from './schema.ts'
import type { ObjectVersion } from './versions.ts'

const SCHEMA = NormalizedSchema.of(BucketLifecycleConfiguration$)
const DAY = 86_400_000

export function writeLifecycle(bucket: Bucket, rules: readonly LifecycleRule[]): void {
  const serializer = xmlCodec.createSerializer()
  serializer.write(SCHEMA, { Rules: rules })
  bucket.putDocument('lifecycle', String(serializer.flush()))
}

/** What S3 does once a day with objects that its rules name. Unfinished uploads stay, and so do storage classes. */
export function applyLifecycle(bucket: Bucket, now: Date): void {
  const document = bucket.document('lifecycle')
  if (!document) return
  const { Rules = [] } = xmlCodec.createDeserializer().read(SCHEMA, document) as BucketLifecycleConfiguration
  for (const rule of Rules.filter(({ Status }) => Status === 'Enabled')) {
    for (const key of [...bucket.versions.keys()]) {
      expireOlder(bucket, key, rule, now)
      expireNewest(bucket, key, rule, now)
    }
  }
}

/** Days count from when a version was written over. */
function expireOlder(bucket: Bucket, key: string, rule: LifecycleRule, now: Date): void {
  const days = rule.NoncurrentVersionExpiration?.NoncurrentDays
  const versions = bucket.versions.of(key)
  for (const [index, version] of versions.entries()) {
    const newer = versions[index - 1]
    if (newer && days && isNamed(rule, version) && isDue(newer.lastModified, days, now))
      bucket.versions.remove(version)
  }
}

/** Where there are versions, it becomes an older one; a marker below which nothing is left goes, where that is wanted. */
function expireNewest(bucket: Bucket, key: string, rule: LifecycleRule, now: Date): void {
  const { Days, ExpiredObjectDeleteMarker } = rule.Expiration ?? {}
  const [newest, ...older] = bucket.versions.of(key)
  if (!newest || !isNamed(rule, newest)) return
  if (newest.isDeleteMarker) {
    if (ExpiredObjectDeleteMarker && older.length === 0) bucket.versions.remove(newest)
  } else if (Days && isDue(newest.lastModified, Days, now)) {
    if (bucket.versioning === 'Enabled') bucket.add(deleteMarker(key, now))
    else bucket.versions.remove(newest)
  }
}

/** Markers have no tags. */
function isNamed({ Filter, Prefix }: LifecycleRule, { key, tags }: ObjectVersion): boolean {
  const wanted = Filter?.And?.Tags ?? (Filter?.Tag ? [Filter.Tag] : [])
  const prefix = Filter?.And?.Prefix ?? Filter?.Prefix ?? Prefix ?? ''
  const hasTag = (Key?: string, Value?: string) => tags.some((tag) => tag.Key === Key && tag.Value === Value)
  return key.startsWith(prefix) && wanted.every(({ Key, Value }) => hasTag(Key, Value))
}

/** From the next midnight on, by UTC. */
function isDue(since: string, days: number, now: Date): boolean {
  return now.getTime() >= Math.ceil((Date.parse(since) + days * DAY) / DAY) * DAY
}

function deleteMarker(key: string, now: Date) {
  const nothing = { size: 0, eTag: '', content: [], attributes: {}, tags: [] }
  return { ...newObject(key), ...nothing, lastModified: now.toISOString(), isDeleteMarker: true }
}
