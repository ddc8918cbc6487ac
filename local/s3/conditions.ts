import { ServiceError } from '../http/service.ts'
import { noSuchKey, notImplemented, preconditionFailed } from './errors.ts'
import type { ObjectVersion } from './versions.ts'

export interface WriteCondition {
  IfMatch?: string | undefined
  IfNoneMatch?: string | undefined
}

/** `current` is undefined where the key has no object, or a delete marker. */
export function checkWrite(condition: WriteCondition, key: string, current: ObjectVersion | undefined): void {
  const { IfMatch, IfNoneMatch } = condition
  if (IfNoneMatch !== undefined && IfNoneMatch !== '*') throw notImplemented('If-None-Match')
  if (IfMatch !== undefined && (IfNoneMatch !== undefined || IfMatch === '*'))
    throw notImplemented('If-Match')
  if (IfNoneMatch && current) throw preconditionFailed('If-None-Match')
  if (IfMatch === undefined) return
  if (!current) throw noSuchKey(key)
  if (!matches(IfMatch, current)) throw preconditionFailed('If-Match')
}

export function checkDelete(IfMatch: string | undefined, current: ObjectVersion | undefined): void {
  if (IfMatch !== undefined && !(current && matches(IfMatch, current))) throw preconditionFailed('If-Match')
}

export interface ReadCondition extends WriteCondition {
  IfModifiedSince?: Date | undefined
  IfUnmodifiedSince?: Date | undefined
}

/** In the order of RFC 9110, 13.2.2: a date counts only where there is no ETag. */
export function checkRead(condition: ReadCondition, version: ObjectVersion): void {
  const { IfMatch, IfNoneMatch, IfModifiedSince, IfUnmodifiedSince } = condition
  if (IfMatch !== undefined && !matches(IfMatch, version)) throw preconditionFailed('If-Match')
  if (IfMatch === undefined && IfUnmodifiedSince && isNewer(version, IfUnmodifiedSince)) {
    throw preconditionFailed('If-Unmodified-Since')
  }
  if (IfNoneMatch !== undefined && matches(IfNoneMatch, version)) throw notModified(version)
  if (IfNoneMatch === undefined && IfModifiedSince && !isNewer(version, IfModifiedSince)) {
    throw notModified(version)
  }
}

/** Where a read answers 304, a copy answers 412. */
export function checkCopySource(condition: ReadCondition, version: ObjectVersion): void {
  try {
    checkRead(condition, version)
  } catch (error) {
    if (error instanceof ServiceError && error.status === 304)
      throw preconditionFailed('x-amz-copy-source-if')
    throw error
  }
}

const notModified = ({ eTag }: ObjectVersion) =>
  new ServiceError(304, 'NotModified', 'Not Modified', { ETag: `"${eTag}"` })

function matches(list: string, { eTag }: ObjectVersion): boolean {
  return list
    .split(',')
    .map((item) => item.trim().replace(/^"(.*)"$/, '$1'))
    .some((item) => item === '*' || item === eTag)
}

/** HTTP dates have whole seconds. */
function isNewer({ lastModified }: ObjectVersion, date: Date): boolean {
  return Math.floor(Date.parse(lastModified) / 1000) > Math.floor(date.getTime() / 1000)
}
