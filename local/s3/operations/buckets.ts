import type {
  CreateBucketOutput,
  CreateBucketRequest,
  DeleteBucketRequest,
  HeadBucketOutput,
  HeadBucketRequest,
  ListBucketsOutput,
  ListBucketsRequest,
} from '@aws-sdk/client-s3'
import { ServiceError } from '../../http/service.ts'
import type { Call, OfBucket } from '../call.ts'
import { notImplemented } from '../errors.ts'
import { NAMESPACE } from '../schema.ts'

export function createBucket(input: OfBucket<CreateBucketRequest>, call: Call): CreateBucketOutput {
  if (input.ObjectLockEnabledForBucket) throw notImplemented('x-amz-bucket-object-lock-enabled')
  const constraint = input.CreateBucketConfiguration?.LocationConstraint
  // The first region is the one that must not be named.
  if ((constraint ?? 'us-east-1') !== call.region || constraint === ('us-east-1' as string)) {
    throw new ServiceError(
      400,
      'IllegalLocationConstraintException',
      `The ${constraint ?? 'unspecified'} location constraint is incompatible for the region specific endpoint this request was sent to.`,
    )
  }
  const { name } = call.buckets.create(input.Bucket)
  return { Location: `/${name}` }
}

export function headBucket(input: OfBucket<HeadBucketRequest>, call: Call): HeadBucketOutput {
  call.buckets.find(input.Bucket)
  return { BucketRegion: call.region }
}

export function deleteBucket(input: OfBucket<DeleteBucketRequest>, call: Call): object {
  call.buckets.remove(call.buckets.find(input.Bucket))
  return {}
}

export function listBuckets(input: ListBucketsRequest, call: Call): ListBucketsOutput {
  const { Prefix = '', ContinuationToken = '', MaxBuckets = 10_000 } = input
  const all = call.buckets.list().filter(({ name }) => name.startsWith(Prefix) && name > ContinuationToken)
  const page = all.slice(0, MaxBuckets)
  return {
    Owner: { ID: call.account },
    Buckets: page.map(({ name, created }) => ({
      Name: name,
      CreationDate: created,
      BucketRegion: call.region,
    })),
    Prefix: input.Prefix,
    ContinuationToken: all.length > page.length ? page.at(-1)?.name : undefined,
  }
}

export function getBucketLocation(input: OfBucket<HeadBucketRequest>, call: Call): object {
  call.buckets.find(input.Bucket)
  const region = call.region === 'us-east-1' ? '' : call.region
  return {
    $xml: `<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint xmlns="${NAMESPACE}">${region}</LocationConstraint>`,
  }
}
