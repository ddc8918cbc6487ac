import type { ObjectCreated } from '../s3/service.ts'

/** One filter of a bucket's notification configuration. */
export interface NotificationRule {
  bucket: string
  /** `s3:ObjectCreated:*`, `s3:ObjectCreated:Put`. */
  events: readonly string[]
  prefix: string
  suffix: string
  functionArn: string
}

/** The functions that are to be told of the object. */
export function interestedFunctions(rules: readonly NotificationRule[], created: ObjectCreated): string[] {
  return rules
    .filter(({ bucket }) => bucket === created.bucket)
    .filter(({ events }) => events.some((event) => isOfKind(event, created.eventName)))
    .filter(({ prefix, suffix }) => created.key.startsWith(prefix) && created.key.endsWith(suffix))
    .map(({ functionArn }) => functionArn)
}

function isOfKind(event: string, name: string): boolean {
  return event === 's3:ObjectCreated:*' || event === `s3:${name}`
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html */
export function storageEvent(created: ObjectCreated, region: string) {
  const { bucket, key, versionId, eTag, size, sequencer, eventName, time } = created
  return {
    Records: [
      {
        eventVersion: '2.1',
        eventSource: 'aws:s3',
        awsRegion: region,
        eventTime: time.toISOString(),
        eventName,
        userIdentity: { principalId: 'local' },
        requestParameters: { sourceIPAddress: '127.0.0.1' },
        responseElements: {},
        s3: {
          s3SchemaVersion: '1.0',
          configurationId: 'local',
          bucket: {
            name: bucket,
            ownerIdentity: { principalId: 'local' },
            arn: `arn:aws:s3:::${bucket}`,
          },
          object: {
            key: encodeKey(key),
            size,
            eTag,
            ...(versionId && { versionId }),
            sequencer,
          },
        },
      },
    ],
  }
}

/** As HTML forms are encoded, but with the slashes left as they are. */
function encodeKey(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replaceAll('%20', '+')
    .replace(/[!'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
