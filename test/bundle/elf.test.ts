import { readFileSync } from 'node:fs'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import type { Platform } from '../../lib/bundle/platform.ts'
import { elfNeeds, whyElfUnfit } from '../../lib/bundle/verify/elf.ts'
import { type ElfOptions, elfFile } from './elf-file.ts'

const AL2023: Platform = { machine: 'x86_64', libc: ['glibc', '2.34'], python: '3.11' }

function whyUnfit(options: ElfOptions, platform = AL2023): string | undefined {
  const needs = elfNeeds(elfFile(options))
  return needs ? whyElfUnfit(needs, platform) : 'not an ELF file'
}

describe('a native file', () => {
  it('tells its CPU, its libraries and the newest glibc that it uses', () => {
    const file = elfFile({
      libraries: ['libc.so.6', 'libpq.so.5'],
      versions: ['GLIBC_2.9', 'GLIBC_2.34', 'GLIBC_2.4', 'GLIBC_PRIVATE'],
    })
    expect(elfNeeds(file)).toEqual({
      machine: 'x86_64',
      bits: 64,
      glibc: '2.34',
      libraries: ['libc.so.6', 'libpq.so.5'],
    })
    expect(elfNeeds(elfFile({ versions: ['GLIBCXX_3.4.9', 'GLIBCXX_3.4.30', 'GLIBCXX_3.4'] }))).toMatchObject(
      {
        libstdcxx: '3.4.30',
      },
    )
    expect(elfNeeds(elfFile({ machine: 3, bits: 32, versions: ['GLIBC_2.0'] }))).toMatchObject({
      machine: 'i686',
      bits: 32,
      glibc: '2.0',
    })
  })

  it('fits where the loader has what it needs', () => {
    expect(whyUnfit({ versions: ['GLIBC_2.17', 'GLIBC_2.34'] })).toBeUndefined()
    expect(whyUnfit({ versions: ['GLIBC_2.17', 'GLIBC_2.38?'] })).toBeUndefined()
    expect(whyUnfit({}, { ...AL2023, libc: ['musl', '1.2'] })).toBeUndefined()
  })

  it.each<[ElfOptions, string, Platform?]>([
    [{ versions: ['GLIBC_2.2.5', 'GLIBC_2.38'] }, 'needs glibc 2.38'],
    [{ versions: ['GLIBC_ABI_DT_RELR'] }, 'needs glibc 2.36'],
    [{ machine: 183 }, 'is for aarch64, 64 bits'],
    [{ machine: 3, bits: 32 }, 'is for i686, 32 bits'],
    [{ machine: 8 }, 'is for e_machine 8, 64 bits'],
    [{ libraries: ['libc.musl-x86_64.so.1'] }, 'needs musl (libc.musl-x86_64.so.1)'],
    [{ versions: ['GLIBC_2.17'] }, 'needs glibc 2.17', { ...AL2023, libc: ['musl', '1.2'] }],
    [{}, 'is for Linux', { machine: 'x86_64', libc: ['macos', '14.0'], python: '3.11' }],
  ])('does not fit: %j', (options, why, platform) => {
    expect(whyUnfit(options, platform)).toBe(why)
  })

  it.each([32, 64] as const)('may have the other byte order: %d bits', (bits) => {
    const file = elfFile({ machine: 22, bits, isBigEndian: true, versions: ['GLIBC_2.17', 'GLIBC_2.31'] })
    expect(elfNeeds(file)).toEqual({ machine: 's390x', bits, glibc: '2.31', libraries: ['libc.so.6'] })
  })

  it('has no needs where it is made to keep a reader busy', () => {
    const file = Buffer.concat([elfFile(), Buffer.alloc(8 * 1024 * 1024, 1)])
    const dynamic = 64 + 56
    file.writeBigUInt64LE(BigInt(file.length - 8 * 1024 * 1024), dynamic + 8)
    file.writeBigUInt64LE(BigInt(8 * 1024 * 1024), dynamic + 32)
    expect(elfNeeds(file)).toBeUndefined()
  })

  it('has no needs where it is none, or cut off anywhere', () => {
    const file = elfFile({ versions: ['GLIBC_2.34'] })
    for (let length = 0; length < file.length - 32; length++) {
      expect(elfNeeds(file.subarray(0, length))).toBeUndefined()
    }
    expect(elfNeeds(Buffer.from('#!/bin/sh\n'))).toBeUndefined()
  })

  it.runIf(process.platform === 'linux')('is read as readelf reads it, where that is', async ({ skip }) => {
    const list = await execa('readelf', ['-V', '-W', process.execPath], { reject: false, maxBuffer: 1e9 })
    if (list.exitCode !== 0) skip('no readelf on this machine')
    const [needed = ''] = list.stdout.split(/^Version needs section/m).slice(1)
    const versions = [...needed.matchAll(/Name: GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor))
    expect(elfNeeds(readFileSync(process.execPath))?.glibc).toBe(`2.${Math.max(...versions)}`)
  })
})
