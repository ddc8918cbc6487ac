import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ServiceError } from '../http/service.ts'
import { Bucket } from './bucket.ts'
import { noSuchBucket } from './errors.ts'
import { fileNames } from './records.ts'

const NAME = /^(?!\d+\.\d+\.\d+\.\d+$)(?!xn--)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

/** All buckets below one folder. */
export class Buckets {
  private readonly directory: string
  private readonly byName = new Map<string, Bucket>()

  constructor(directory: string) {
    this.directory = directory
    for (const name of fileNames(directory)) {
      const folder = join(directory, name)
      // Without its record, a bucket was being created or destroyed when the process died.
      if (existsSync(join(folder, 'bucket.json'))) this.byName.set(name, new Bucket(folder, name))
    }
  }

  find(name: string): Bucket {
    const bucket = this.byName.get(name)
    if (!bucket) throw noSuchBucket(name)
    return bucket
  }

  has(name: string): boolean {
    return this.byName.has(name)
  }

  create(name: string): Bucket {
    if (!NAME.test(name)) {
      throw new ServiceError(400, 'InvalidBucketName', 'The specified bucket is not valid.', {
        BucketName: name,
      })
    }
    if (this.byName.has(name)) {
      throw new ServiceError(
        409,
        'BucketAlreadyOwnedByYou',
        'Your previous request to create the named bucket succeeded and you already own it.',
        { BucketName: name },
      )
    }
    const bucket = Bucket.create(join(this.directory, name), name)
    this.byName.set(name, bucket)
    return bucket
  }

  remove(bucket: Bucket): void {
    if (!bucket.isEmpty) {
      throw new ServiceError(409, 'BucketNotEmpty', 'The bucket you tried to delete is not empty', {
        BucketName: bucket.name,
      })
    }
    this.byName.delete(bucket.name)
    bucket.destroy()
  }

  list(): Bucket[] {
    return [...this.byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}
