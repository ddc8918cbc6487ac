export interface ElfOptions {
  /** `e_machine`: 62 is x86_64, 183 aarch64. */
  machine?: number
  bits?: 32 | 64
  isBigEndian?: boolean
  libraries?: string[]
  /** Versions wanted of libc.so.6: `GLIBC_2.34`; with a "?" behind, by weak symbols only. */
  versions?: string[]
}

/** A shared library of nothing but what the dynamic loader reads to judge it. */
export function elfFile({
  machine = 62,
  bits = 64,
  isBigEndian = false,
  libraries = ['libc.so.6'],
  versions = [],
}: ElfOptions = {}) {
  const width = bits / 8
  const number = (value: number, bytes = width) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigUInt64LE(BigInt(value))
    return isBigEndian ? buffer.subarray(0, bytes).reverse() : buffer.subarray(0, bytes)
  }
  const numbers = (bytes: number, ...values: number[]) =>
    Buffer.concat(values.map((value) => number(value, bytes)))
  const segment = (type: number, offset: number, size: number) => {
    const places = numbers(width, offset, offset, offset, size, size)
    const flags = number(5, 4)
    const rest = bits === 64 ? [flags, places] : [places, flags]
    return Buffer.concat([number(type, 4), ...rest, number(1)])
  }
  const [headerSize, segmentSize] = bits === 64 ? [64, 56] : [52, 32]
  const names = ['libc.so.6', ...libraries, ...versions.map((version) => version.replace('?', ''))]
  const strings = Buffer.from(`\0${names.map((name) => `${name}\0`).join('')}`)
  const nameAt = (name: string) => strings.indexOf(`\0${name.replace('?', '')}\0`) + 1
  const stringsAt = headerSize + 2 * segmentSize
  const needed = versions.flatMap((version, index) => [
    numbers(4, 0),
    numbers(2, version.endsWith('?') ? 2 : 0, 0),
    numbers(4, nameAt(version), index + 1 < versions.length ? 16 : 0),
  ])
  const library = [numbers(2, 1, versions.length), numbers(4, nameAt('libc.so.6'), 16, 0)]
  const needs = Buffer.concat(versions.length > 0 ? [...library, ...needed] : [])
  const needsAt = stringsAt + strings.length
  const entries = [
    ...libraries.flatMap((name) => [1, nameAt(name)]),
    ...[5, stringsAt],
    ...(versions.length > 0 ? [0x6ffffffe, needsAt, 0x6fffffff, 1] : []),
    ...[0, 0],
  ]
  const dynamic = numbers(width, ...entries)
  const dynamicAt = needsAt + needs.length
  const size = dynamicAt + dynamic.length
  return Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, width / 4, isBigEndian ? 2 : 1, 1, ...Array(9).fill(0)]),
    numbers(2, 3, machine),
    number(1, 4),
    numbers(width, 0, headerSize, 0),
    number(0, 4),
    numbers(2, headerSize, segmentSize, 2, 0, 0, 0),
    segment(1, 0, size),
    segment(2, dynamicAt, dynamic.length),
    strings,
    needs,
    dynamic,
  ])
}
