import { UserError } from '../user-error.ts'
import { git } from './git.ts'

export interface GitBlob {
  path: string
  object: string
  size: number
}

const BATCH_BYTES = 64 * 1024 * 1024

/** The contents in order, through few processes, none of which gives more than fits into memory. */
export async function* readBlobs(folder: string, blobs: readonly GitBlob[]): AsyncGenerator<Buffer> {
  for (const batch of inBatches(blobs)) {
    const asked = batch.map(({ object }) => `${object}\n`).join('')
    const answer = await git(folder, ['cat-file', '--batch'], asked)
    let at = 0
    for (const blob of batch) {
      const headEnd = answer.indexOf('\n', at)
      refuseBroken(answer.toString('latin1', at, headEnd), blob)
      at = headEnd + 1 + blob.size + 1
      yield answer.subarray(headEnd + 1, at - 1)
    }
  }
}

function* inBatches(blobs: readonly GitBlob[]): Generator<GitBlob[]> {
  let batch: GitBlob[] = []
  let bytes = 0
  for (const blob of blobs) {
    if (bytes + blob.size > BATCH_BYTES && batch.length > 0) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(blob)
    bytes += blob.size
  }
  if (batch.length > 0) yield batch
}

/** Each answer is "<object> blob <size>", then the bytes; or "<object> missing". */
function refuseBroken(head: string, { path, object, size }: GitBlob): void {
  if (head === `${object} blob ${size}`) return
  throw new UserError(`git cannot read "${path}" of this revision (${head}): git fsck tells more.`)
}
