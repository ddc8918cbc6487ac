import { S3Client } from '@aws-sdk/client-s3'

/** Where an environment's bucket is; region, profile and endpoint come from the usual AWS settings otherwise. */
export interface Destination {
  bucket: string
  region?: string | undefined
  profile?: string | undefined
}

export function s3Client({ region, profile }: Partial<Destination> = {}): S3Client {
  return new S3Client({ ...(region && { region }), ...(profile && { profile }) })
}
