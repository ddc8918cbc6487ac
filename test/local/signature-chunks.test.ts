import { Readable } from 'node:stream'
import { Hash } from '@smithy/core/serde'
import { SignatureV4 } from '@smithy/signature-v4'
import { expect, test } from 'vitest'
import { decodeChunks } from '../../local/http/aws-chunked.ts'
import { readBody } from '../../local/http/service.ts'

/** The worked example of AWS: "Transferring Payload in Multiple Chunks", Amazon S3 API Reference. */
const EXAMPLE = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  seed: '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
  chunks: [
    ['a'.repeat(65536), 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648'],
    ['a'.repeat(1024), '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497'],
    ['', 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9'],
  ] as const,
}
const framed = EXAMPLE.chunks
  .map(([text, signature]) => `${text.length.toString(16)};chunk-signature=${signature}\r\n${text}\r\n`)
  .join('')

test('the signed chunks of the published example are accepted however they are cut', async () => {
  expect((await decode(framed)).length).toBe(66560)
  expect((await decode(framed, { step: 7 })).length).toBe(66560)
})

test('a changed, missing or reordered chunk is refused', async () => {
  await expect(decode(framed.replace('\r\naa', '\r\nab'))).rejects.toMatchObject({
    code: 'SignatureDoesNotMatch',
  })
  const second = framed.slice(framed.indexOf('400;'))
  await expect(decode(second)).rejects.toMatchObject({ code: 'SignatureDoesNotMatch' })
})

test('a body that ends early is refused', async () => {
  await expect(decode(framed.slice(0, 66_000))).rejects.toMatchObject({ code: 'IncompleteBody' })
})

test('trailers are read, and must be those that were announced', async () => {
  const body = '2\r\nhi\r\n0\r\nx-amz-checksum-crc32:2Pq0Rw==\r\n\r\n'
  const trailers = {}
  expect(await decode(body, { announced: 'x-amz-checksum-crc32', length: 2, trailers })).toBe('hi')
  expect(trailers).toEqual({ 'x-amz-checksum-crc32': '2Pq0Rw==' })
  await expect(decode(body, { announced: 'x-amz-checksum-sha256', length: 2 })).rejects.toThrow('announced')
  await expect(decode(body, { announced: 'x-amz-checksum-crc32', length: 3 })).rejects.toMatchObject({
    code: 'IncompleteBody',
  })
})

interface Options {
  step?: number
  announced?: string
  length?: number
  trailers?: Record<string, string>
}

async function decode(text: string, { step, announced, length = 66560, trailers = {} }: Options = {}) {
  const { accessKeyId, secretAccessKey, seed } = EXAMPLE
  const sent = Buffer.from(text)
  async function* source() {
    const size = step ?? sent.length
    for (let start = 0; start < sent.length; start += size) yield sent.subarray(start, start + size)
  }
  const decoded = decodeChunks(source(), {
    isSigned: announced === undefined,
    hasTrailer: announced !== undefined,
    signer: new SignatureV4({
      credentials: { accessKeyId, secretAccessKey },
      region: 'us-east-1',
      service: 's3',
      sha256: Hash.bind(null, 'sha256'),
    }),
    claimed: {
      date: new Date('2013-05-24T00:00:00Z'),
      scope: '20130524/us-east-1/s3/aws4_request',
      signature: seed,
    },
    decodedLength: length,
    announcedTrailers: announced ?? '',
    trailers,
  })
  return String(await readBody(Readable.from(decoded)))
}
