import { parseUploadKey, type Upload } from '../lib/release/keys.ts'

/** The part of an S3 event notification that is used. */
export interface StorageEvent {
  Records: { s3: { object: { key: string; versionId?: string } } }[]
}

export interface UploadedObject extends Upload {
  key: string
  versionId: string
}

/** What publishers uploaded; keys that are not of the bucket's layout are passed over. */
export function uploadsOf(event: Partial<StorageEvent>): UploadedObject[] {
  return (event.Records ?? []).flatMap(({ s3 }) => {
    // Events carry keys as HTML forms do: percent-encoded, with "+" for a space.
    const key = decodeURIComponent(s3.object.key.replaceAll('+', ' '))
    const upload = parseUploadKey(key)
    return upload ? [{ ...upload, key, versionId: s3.object.versionId ?? 'null' }] : []
  })
}
