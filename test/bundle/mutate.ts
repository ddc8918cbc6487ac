import fc from 'fast-check'

export type Mutation = {
  at: number
  kind: 'flip' | 'zero' | 'cut' | 'insert' | 'repeat'
  byte: number
  length: number
}

/** What transfers, disks and people do to files. */
export const MUTATIONS = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    kind: fc.constantFrom('flip', 'zero', 'cut', 'insert', 'repeat'),
    byte: fc.integer({ min: 1, max: 255 }),
    length: fc.integer({ min: 1, max: 64 }),
  }),
  { minLength: 1, maxLength: 4 },
)

export function mutate(bytes: Buffer, { at, kind, byte, length }: Mutation): Buffer {
  const start = Math.min(bytes.length - 1, Math.floor(at * bytes.length))
  const [before, after] = [bytes.subarray(0, start), bytes.subarray(start)]
  switch (kind) {
    case 'flip':
      return Buffer.concat([before, Buffer.from([(after[0] ?? 0) ^ byte]), after.subarray(1)])
    case 'zero':
      return Buffer.concat([before, Buffer.alloc(Math.min(length, after.length)), after.subarray(length)])
    case 'cut':
      return Buffer.concat([before, after.subarray(length)])
    case 'insert':
      return Buffer.concat([before, Buffer.alloc(length, byte), after])
    case 'repeat':
      return Buffer.concat([before, after.subarray(0, length), after])
  }
}
