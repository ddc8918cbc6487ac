import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Platform } from '../../lib/bundle/platform.ts'
import { wheelTags } from '../../lib/bundle/tags.ts'

interface Vector {
  python: string
  abi: string
  arch: string
  libc: 'glibc' | 'musl'
  libc_version: string
  tags: string[]
}

/** What packaging 26.2, the reference implementation, says of forty targets. */
const VECTORS: Vector[] = JSON.parse(
  gunzipSync(readFileSync(new URL('data/tagvectors.json.gz', import.meta.url))).toString(),
).vectors.filter(({ abi }: Vector) => !abi.endsWith('t'))

describe('the tags of a platform', () => {
  it('cover Pythons, CPUs and libcs', () => expect(VECTORS).toHaveLength(40))

  it.each(VECTORS)('are the reference: CPython $python on $arch, $libc $libc_version', (vector) => {
    const { python, arch, libc, libc_version, tags } = vector
    const platform: Platform = { machine: arch, libc: [libc, libc_version], python }
    // `linux_x86_64` says nothing of the libraries that a wheel was built against.
    const portable = tags.filter((tag) => !/-linux_\w+$/.test(tag))
    expect([...wheelTags(platform)].sort()).toEqual(portable.sort())
  })
})
