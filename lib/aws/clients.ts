import { S3Client } from '@aws-sdk/client-s3'

/** Where an environment's bucket is; region, profile and endpoint come from the usual AWS settings otherwise. */
export interface Destination {
  bucket: string
  region?: string | undefined
  profile?: string | undefined
}

export function s3Client({ region, profile }: Partial<Destination> = {}): S3Client {
  const client = new S3Client({ ...(region && { region }), ...(profile && { profile }) })
  const asked = profile || process.env.AWS_PROFILE
  if (asked) client.middlewareStack.add(namingProfile(asked), { step: 'initialize' })
  return client
}

/** The SDK does not say of which profile it has no credentials. */
function namingProfile(profile: string) {
  return <Input, Output>(next: (input: Input) => Promise<Output>) =>
    async (input: Input): Promise<Output> => {
      try {
        return await next(input)
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'CredentialsProviderError') throw error
        const named = new Error(`profile "${profile}": ${error.message}`, { cause: error })
        throw Object.assign(named, { name: error.name })
      }
    }
}
