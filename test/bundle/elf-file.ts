export interface ElfOptions {
  /** `e_machine`: 62 is x86_64, 183 aarch64. */
  machine?: number
  bits?: 32 | 64
  libraries?: string[]
  /** Versions wanted of libc.so.6: `GLIBC_2.34`; with a "?" behind, by weak symbols only. */
  versions?: string[]
}

/** A shared library of nothing but what the dynamic loader reads to judge it. */
export function elfFile({
  machine = 62,
  bits = 64,
  libraries = ['libc.so.6'],
  versions = [],
}: ElfOptions = {}) {
  const width = bits / 8
  const [headerSize, segmentSize] = bits === 64 ? [64, 56] : [52, 32]
  const names = ['libc.so.6', ...libraries, ...versions.map((version) => version.replace('?', ''))]
  const strings = Buffer.from(`\0${names.map((name) => `${name}\0`).join('')}`)
  const nameAt = (name: string) => strings.indexOf(`\0${name.replace('?', '')}\0`) + 1
  const stringsAt = headerSize + 2 * segmentSize
  const needs = Buffer.alloc(versions.length === 0 ? 0 : 16 * (1 + versions.length))
  const needsAt = stringsAt + strings.length
  if (versions.length > 0) {
    needs.writeUInt16LE(1, 0)
    needs.writeUInt16LE(versions.length, 2)
    needs.writeUInt32LE(nameAt('libc.so.6'), 4)
    needs.writeUInt32LE(16, 8)
  }
  for (const [index, version] of versions.entries()) {
    const at = 16 * (index + 1)
    needs.writeUInt16LE(version.endsWith('?') ? 2 : 0, at + 4)
    needs.writeUInt32LE(nameAt(version), at + 8)
    needs.writeUInt32LE(index + 1 < versions.length ? 16 : 0, at + 12)
  }
  const entries = [
    ...libraries.map((library) => [1, nameAt(library)]),
    [5, stringsAt],
    ...(versions.length > 0
      ? [
          [0x6ffffffe, needsAt],
          [0x6fffffff, 1],
        ]
      : []),
    [0, 0],
  ].flat()
  const dynamic = Buffer.concat(entries.map((value) => number(value, width)))
  const dynamicAt = needsAt + needs.length
  const size = dynamicAt + dynamic.length
  return Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, width / 4, 1, 1, ...Array(9).fill(0)]),
    number(3, 2),
    number(machine, 2),
    number(1, 4),
    number(0, width),
    number(headerSize, width),
    number(0, width),
    number(0, 4),
    ...[headerSize, segmentSize, 2, 0, 0, 0].map((value) => number(value, 2)),
    segment(1, 0, size, bits),
    segment(2, dynamicAt, dynamic.length, bits),
    strings,
    needs,
    dynamic,
  ])
}

function segment(type: number, offset: number, size: number, bits: 32 | 64): Buffer {
  const places = [offset, offset, offset, size, size].map((value) => number(value, bits / 8))
  const flags = number(5, 4)
  return Buffer.concat([
    number(type, 4),
    ...(bits === 64 ? [flags, ...places] : [...places, flags]),
    number(1, bits / 8),
  ])
}

function number(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(BigInt(value))
  return buffer.subarray(0, bytes)
}
