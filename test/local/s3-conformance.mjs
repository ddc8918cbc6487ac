// S3 conformance probe: 61 checks with the SDK v3 defaults (checksums, trailers, conditional writes and races, multipart,
// listing, versioning, presigned URLs, authentication). Run it where @aws-sdk/client-s3, lib-storage and s3-request-presigner
// resolve, e.g. after copying it into the project:  node s3-conformance.mjs ENDPOINT ACCESS_KEY SECRET_KEY OUT.json
import crypto from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import * as S from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'

const [endpoint, ak, sk, out] = process.argv.slice(2)
const mk = (extra = {}) =>
  new S.S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: ak, secretAccessKey: sk },
    maxAttempts: 1,
    ...extra,
  })
const c = mk()
const B = `conf-${crypto.randomBytes(4).toString('hex')}`
const res = []
const TO = 20000
const BIG = path.join(os.tmpdir(), `s3-conformance-${process.pid}.bin`)
async function t(name, fn) {
  const t0 = performance.now()
  let timer
  try {
    const v = await Promise.race([
      fn(),
      new Promise((_, r) => {
        timer = setTimeout(() => r(new Error('TIMEOUT')), TO)
      }),
    ])
    res.push({
      name,
      ok: true,
      ms: Math.round(performance.now() - t0),
      note: v === undefined ? undefined : String(v),
    })
  } catch (e) {
    res.push({
      name,
      ok: false,
      ms: Math.round(performance.now() - t0),
      err: `${e.name}/${e.Code ?? ''}/${e.$metadata?.httpStatusCode ?? ''}: ${String(e.message).slice(0, 160)}`,
    })
  } finally {
    clearTimeout(timer)
  }
}
const eq = (a, b, m = '') => {
  if (a !== b) throw new Error(`${m} got ${JSON.stringify(a)} want ${JSON.stringify(b)}`)
}
async function fails(p, status, ...codes) {
  let _r
  try {
    _r = await p
  } catch (e) {
    const s = e.$metadata?.httpStatusCode
    if (s !== status || (codes.length && !codes.includes(e.name) && !codes.includes(e.Code)))
      throw new Error(`status ${s} name ${e.name}; want ${status} ${codes}`)
    return `${s} ${e.name}`
  }
  throw new Error(`succeeded, want ${status}`)
}
const put = (Key, Body, x = {}) => c.send(new S.PutObjectCommand({ Bucket: B, Key, Body, ...x }))
const get = async (Key, x = {}) => {
  const r = await c.send(new S.GetObjectCommand({ Bucket: B, Key, ...x }))
  r.text = await r.Body.transformToString()
  return r
}
const md5 = (b) => crypto.createHash('md5').update(b).digest('hex')
const big = crypto.randomBytes(12 * 1024 * 1024 + 123)
fs.writeFileSync(BIG, big)

await t('CreateBucket', () => c.send(new S.CreateBucketCommand({ Bucket: B })))
await t('HeadBucket', () => c.send(new S.HeadBucketCommand({ Bucket: B })))
await t('HeadBucket missing 404', () => fails(c.send(new S.HeadBucketCommand({ Bucket: `${B}x` })), 404))
await t('ListBuckets', async () => {
  const r = await c.send(new S.ListBucketsCommand({}))
  if (!r.Buckets?.some((b) => b.Name === B)) throw new Error('missing')
})
await t('PutObject string (crc32 header)', async () => {
  const r = await put('a.txt', 'hello world', {
    ContentType: 'text/plain; charset=utf-8',
    Metadata: { 'git-sha': 'abc123', x: 'y' },
    CacheControl: 'no-cache',
  })
  eq(r.ETag, `"${md5('hello world')}"`, 'etag')
  return `returned checksum=${r.ChecksumCRC32 ?? 'none'}`
})
await t('GetObject + metadata', async () => {
  const r = await get('a.txt')
  eq(r.text, 'hello world')
  eq(r.ContentType, 'text/plain; charset=utf-8')
  eq(r.Metadata['git-sha'], 'abc123')
  eq(r.CacheControl, 'no-cache', 'cc')
  return `checksum on get=${r.ChecksumCRC32 ?? 'none'}`
})
await t('HeadObject', async () => {
  const r = await c.send(new S.HeadObjectCommand({ Bucket: B, Key: 'a.txt', ChecksumMode: 'ENABLED' }))
  eq(r.ContentLength, 11)
  eq(r.Metadata['git-sha'], 'abc123')
  return `checksum=${r.ChecksumCRC32 ?? 'none'}`
})
await t('PutObject empty', async () => {
  await put('empty', '')
  eq((await get('empty')).text, '')
})
await t('PutObject fs stream (aws-chunked trailer)', async () => {
  await put('stream.bin', fs.createReadStream(BIG), { ContentLength: big.length })
  const r = await c.send(new S.GetObjectCommand({ Bucket: B, Key: 'stream.bin' }))
  const b = Buffer.from(await r.Body.transformToByteArray())
  eq(md5(b), md5(big), 'content md5')
  eq(r.ETag, `"${md5(big)}"`, 'etag')
  return `ContentEncoding=${r.ContentEncoding ?? 'none'} crc=${r.ChecksumCRC32 ?? 'none'}`
})
await t('PutObject fs stream without ContentLength', async () => {
  await put('stream2.bin', fs.createReadStream(BIG))
  const h = await c.send(new S.HeadObjectCommand({ Bucket: B, Key: 'stream2.bin' }))
  eq(h.ContentLength, big.length)
})
for (const a of ['SHA256', 'CRC32C', 'SHA1', 'CRC64NVME'])
  await t(`PutObject ChecksumAlgorithm ${a}`, async () => {
    const r = await put(`ck-${a}`, 'data', { ChecksumAlgorithm: a })
    const g = await get(`ck-${a}`, { ChecksumMode: 'ENABLED' })
    eq(g.text, 'data')
    return `put->${r[`Checksum${a}`] ?? 'none'} get->${g[`Checksum${a}`] ?? 'none'}`
  })
await t('wrong ChecksumSHA256 rejected 400', () =>
  fails(put('bad', 'data', { ChecksumSHA256: Buffer.alloc(32).toString('base64') }), 400),
)
await t('wrong Content-MD5 rejected 400', () =>
  fails(put('bad', 'data', { ContentMD5: Buffer.alloc(16).toString('base64') }), 400),
)
await t('PutObject If-None-Match:* new', () => put('cond', '1', { IfNoneMatch: '*' }))
await t('PutObject If-None-Match:* existing 412', () =>
  fails(put('cond', '2', { IfNoneMatch: '*' }), 412, 'PreconditionFailed'),
)
await t('If-None-Match:* content unchanged', async () => eq((await get('cond')).text, '1'))
await t('PutObject If-Match ok', async () => {
  const h = await get('cond')
  await put('cond', '3', { IfMatch: h.ETag })
  eq((await get('cond')).text, '3')
})
await t('PutObject If-Match stale 412', () =>
  fails(put('cond', '4', { IfMatch: `"${md5('1')}"` }), 412, 'PreconditionFailed'),
)
await t('PutObject If-Match missing key 404', () =>
  fails(put('cond-none', '4', { IfMatch: `"${md5('1')}"` }), 404, 'NoSuchKey'),
)
await t('race: 20 parallel If-None-Match:* one winner', async () => {
  const rs = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => put('race', String(i), { IfNoneMatch: '*' })),
  )
  const w = rs.filter((r) => r.status === 'fulfilled').length
  const st = {}
  for (const r of rs)
    if (r.status === 'rejected') {
      const s = `${r.reason.$metadata?.httpStatusCode} ${r.reason.name}`
      st[s] = (st[s] ?? 0) + 1
    }
  eq(w, 1, `winners; losers=${JSON.stringify(st)}`)
  return JSON.stringify(st)
})
await t('race: 20 parallel If-Match one winner', async () => {
  const e = (await get('race')).ETag
  const rs = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => put('race', `v${i}`, { IfMatch: e })),
  )
  const w = rs.filter((r) => r.status === 'fulfilled').length
  const st = {}
  for (const r of rs)
    if (r.status === 'rejected') {
      const s = `${r.reason.$metadata?.httpStatusCode} ${r.reason.name}`
      st[s] = (st[s] ?? 0) + 1
    }
  eq(w, 1, `winners; losers=${JSON.stringify(st)}`)
  return JSON.stringify(st)
})
await t('race: 8 parallel 2MB stream If-None-Match:* one winner', async () => {
  const d = big.subarray(0, 2 << 20)
  const rs = await Promise.allSettled(
    Array.from({ length: 8 }, (_, _i) =>
      put('race2', Readable.from([d.subarray(0, 1 << 20), d.subarray(1 << 20)]), {
        IfNoneMatch: '*',
        ContentLength: d.length,
      }),
    ),
  )
  const w = rs.filter((r) => r.status === 'fulfilled').length
  const st = {}
  for (const r of rs)
    if (r.status === 'rejected') {
      const s = `${r.reason.$metadata?.httpStatusCode} ${r.reason.name}`
      st[s] = (st[s] ?? 0) + 1
    }
  eq(w, 1, `winners; losers=${JSON.stringify(st)}`)
  return JSON.stringify(st)
})
await t('DeleteObject If-Match stale 412', async () => {
  await put('dcond', '1')
  return fails(
    c.send(
      new S.DeleteObjectCommand({ Bucket: B, Key: 'dcond', IfMatch: '"deadbeefdeadbeefdeadbeefdeadbeef"' }),
    ),
    412,
  )
})
await t('GetObject If-None-Match 304', async () => {
  const e = (await get('a.txt')).ETag
  return fails(get('a.txt', { IfNoneMatch: e }), 304)
})
await t('GetObject If-Match stale 412', () =>
  fails(get('a.txt', { IfMatch: '"deadbeefdeadbeefdeadbeefdeadbeef"' }), 412),
)
await t('GetObject missing NoSuchKey', () => fails(get('nope'), 404, 'NoSuchKey'))
await t('HeadObject missing NotFound', () =>
  fails(c.send(new S.HeadObjectCommand({ Bucket: B, Key: 'nope' })), 404, 'NotFound'),
)
await t('range bytes=6-10', async () => {
  const r = await get('a.txt', { Range: 'bytes=6-10' })
  eq(r.text, 'world')
  eq(r.ContentRange, 'bytes 6-10/11')
  eq(r.$metadata.httpStatusCode, 206)
})
await t('range bytes=-5', async () => {
  const r = await get('a.txt', { Range: 'bytes=-5' })
  eq(r.text, 'world')
})
await t('range bytes=6-', async () => {
  const r = await get('a.txt', { Range: 'bytes=6-' })
  eq(r.text, 'world')
})
await t('range invalid 416', () => fails(get('a.txt', { Range: 'bytes=100-' }), 416, 'InvalidRange'))
let up
await t('multipart manual', async () => {
  up = (
    await c.send(
      new S.CreateMultipartUploadCommand({
        Bucket: B,
        Key: 'mp',
        Metadata: { k: 'v' },
        ContentType: 'application/zip',
      }),
    )
  ).UploadId
  const parts = []
  for (let i = 0; i < 3; i++) {
    const body = big.subarray(i * 5242880, (i + 1) * 5242880)
    const r = await c.send(
      new S.UploadPartCommand({ Bucket: B, Key: 'mp', UploadId: up, PartNumber: i + 1, Body: body }),
    )
    parts.push({ PartNumber: i + 1, ETag: r.ETag, ChecksumCRC32: r.ChecksumCRC32 })
  }
  const lp = await c.send(new S.ListPartsCommand({ Bucket: B, Key: 'mp', UploadId: up }))
  eq(lp.Parts?.length, 3, 'listparts')
  const _r = await c.send(
    new S.CompleteMultipartUploadCommand({
      Bucket: B,
      Key: 'mp',
      UploadId: up,
      MultipartUpload: { Parts: parts },
    }),
  )
  const g = await c.send(new S.GetObjectCommand({ Bucket: B, Key: 'mp' }))
  eq(md5(Buffer.from(await g.Body.transformToByteArray())), md5(big))
  eq(g.Metadata.k, 'v')
  eq(g.ContentType, 'application/zip')
  if (!/-3"?$/.test(g.ETag)) throw new Error(`etag ${g.ETag}`)
})
await t('lib-storage Upload 12MB stream', async () => {
  const u = new Upload({
    client: c,
    params: { Bucket: B, Key: 'lib', Body: fs.createReadStream(BIG), Metadata: { a: 'b' } },
    partSize: 5 * 1024 * 1024,
    queueSize: 3,
  })
  await u.done()
  const g = await c.send(new S.GetObjectCommand({ Bucket: B, Key: 'lib' }))
  eq(md5(Buffer.from(await g.Body.transformToByteArray())), md5(big))
  eq(g.Metadata.a, 'b')
})
await t('lib-storage Upload small', async () => {
  const u = new Upload({ client: c, params: { Bucket: B, Key: 'libs', Body: Buffer.from('tiny') } })
  await u.done()
  eq((await get('libs')).text, 'tiny')
})
await t('multipart Complete If-None-Match:* existing 412', async () => {
  await put('mpc', 'x')
  const u = (await c.send(new S.CreateMultipartUploadCommand({ Bucket: B, Key: 'mpc' }))).UploadId
  const p = await c.send(
    new S.UploadPartCommand({ Bucket: B, Key: 'mpc', UploadId: u, PartNumber: 1, Body: 'zz' }),
  )
  return fails(
    c.send(
      new S.CompleteMultipartUploadCommand({
        Bucket: B,
        Key: 'mpc',
        UploadId: u,
        IfNoneMatch: '*',
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag: p.ETag, ChecksumCRC32: p.ChecksumCRC32 }] },
      }),
    ),
    412,
    'PreconditionFailed',
  )
})
await t('AbortMultipartUpload + ListMultipartUploads', async () => {
  const u = (await c.send(new S.CreateMultipartUploadCommand({ Bucket: B, Key: 'mpa' }))).UploadId
  const l = await c.send(new S.ListMultipartUploadsCommand({ Bucket: B }))
  if (!l.Uploads?.some((x) => x.UploadId === u)) throw new Error('not listed')
  await c.send(new S.AbortMultipartUploadCommand({ Bucket: B, Key: 'mpa', UploadId: u }))
  await fails(
    c.send(new S.UploadPartCommand({ Bucket: B, Key: 'mpa', UploadId: u, PartNumber: 1, Body: 'zz' })),
    404,
    'NoSuchUpload',
  )
})
await t('keys: slash + same prefix file ("p" and "p/q")', async () => {
  await put('p', '1')
  await put('p/q', '2')
  eq((await get('p')).text, '1')
  eq((await get('p/q')).text, '2')
})
await t('keys: unicode, space, +, %', async () => {
  for (const k of ['dir/ü n+i%20c ode.txt', 'a=b&c?d#e', 'x//y']) {
    await put(k, k)
    eq((await get(k)).text, k, `get ${k}`)
  }
  const l = await c.send(new S.ListObjectsV2Command({ Bucket: B }))
  for (const k of ['dir/ü n+i%20c ode.txt', 'a=b&c?d#e', 'x//y'])
    if (!l.Contents.some((o) => o.Key === k)) throw new Error(`list lacks ${k}`)
})
await t('keys: trailing slash marker', async () => {
  await put('folder/', '')
  await put('folder/f', '1')
  const l = await c.send(new S.ListObjectsV2Command({ Bucket: B, Prefix: 'folder/' }))
  eq(l.Contents?.map((o) => o.Key).join(), 'folder/,folder/f')
})
await t('metadata non-ascii/case', async () => {
  await put('meta', '1', { Metadata: { MixedCase: 'v1', json: JSON.stringify({ a: 1 }) } })
  const r = await get('meta')
  eq(r.Metadata.mixedcase, 'v1')
  eq(r.Metadata.json, '{"a":1}')
})
await t('ListObjectsV2 prefix+delimiter', async () => {
  for (const k of ['l/a/1', 'l/a/2', 'l/b/1', 'l/c']) await put(k, 'x')
  const r = await c.send(new S.ListObjectsV2Command({ Bucket: B, Prefix: 'l/', Delimiter: '/' }))
  eq(r.CommonPrefixes?.map((p) => p.Prefix).join(), 'l/a/,l/b/')
  eq(r.Contents?.map((o) => o.Key).join(), 'l/c')
  eq(r.KeyCount, 3)
})
await t('ListObjectsV2 paging + StartAfter', async () => {
  let tok,
    keys = []
  do {
    const r = await c.send(
      new S.ListObjectsV2Command({ Bucket: B, Prefix: 'l/', MaxKeys: 2, ContinuationToken: tok }),
    )
    keys.push(...r.Contents.map((o) => o.Key))
    tok = r.NextContinuationToken
  } while (tok)
  eq(keys.join(), 'l/a/1,l/a/2,l/b/1,l/c')
  const r2 = await c.send(new S.ListObjectsV2Command({ Bucket: B, Prefix: 'l/', StartAfter: 'l/a/2' }))
  eq(r2.Contents.map((o) => o.Key).join(), 'l/b/1,l/c')
})
await t('ListObjectsV2 1100 keys (1000 limit)', async () => {
  for (let i = 0; i < 1100; i += 50)
    await Promise.all(
      Array.from({ length: 50 }, (_, j) => put(`many/${String(i + j).padStart(5, '0')}`, 'x')),
    )
  const r = await c.send(new S.ListObjectsV2Command({ Bucket: B, Prefix: 'many/' }))
  eq(r.Contents.length, 1000)
  eq(r.IsTruncated, true)
  const r2 = await c.send(
    new S.ListObjectsV2Command({ Bucket: B, Prefix: 'many/', ContinuationToken: r.NextContinuationToken }),
  )
  eq(r2.Contents.length, 100)
})
await t('CopyObject', async () => {
  await c.send(new S.CopyObjectCommand({ Bucket: B, Key: 'copy.txt', CopySource: `${B}/a.txt` }))
  const r = await get('copy.txt')
  eq(r.text, 'hello world')
  eq(r.Metadata['git-sha'], 'abc123')
})
await t('CopyObject REPLACE metadata', async () => {
  await c.send(
    new S.CopyObjectCommand({
      Bucket: B,
      Key: 'copy2.txt',
      CopySource: `${B}/a.txt`,
      MetadataDirective: 'REPLACE',
      Metadata: { n: '1' },
    }),
  )
  const r = await get('copy2.txt')
  eq(r.Metadata.n, '1')
  eq(r.Metadata['git-sha'], undefined)
})
await t('DeleteObject + idempotent', async () => {
  await c.send(new S.DeleteObjectCommand({ Bucket: B, Key: 'copy.txt' }))
  await c.send(new S.DeleteObjectCommand({ Bucket: B, Key: 'copy.txt' }))
  await fails(get('copy.txt'), 404, 'NoSuchKey')
})
await t('DeleteObjects', async () => {
  const _r = await c.send(
    new S.DeleteObjectsCommand({
      Bucket: B,
      Delete: { Objects: [{ Key: 'l/a/1' }, { Key: 'l/a/2' }, { Key: 'nope' }] },
    }),
  )
  const l = await c.send(new S.ListObjectsV2Command({ Bucket: B, Prefix: 'l/' }))
  eq(l.Contents.length, 2)
})
await t('presigned GET', async () => {
  const u = await getSignedUrl(c, new S.GetObjectCommand({ Bucket: B, Key: 'a.txt' }), { expiresIn: 60 })
  const r = await fetch(u)
  eq(r.status, 200)
  eq(await r.text(), 'hello world')
})
await t('presigned PUT', async () => {
  const u = await getSignedUrl(c, new S.PutObjectCommand({ Bucket: B, Key: 'pre.txt' }), { expiresIn: 60 })
  const r = await fetch(u, { method: 'PUT', body: 'pre' })
  eq(r.status, 200, await r.text())
  eq((await get('pre.txt')).text, 'pre')
})
await t('presigned tampered 403', async () => {
  const u = await getSignedUrl(c, new S.GetObjectCommand({ Bucket: B, Key: 'a.txt' }), { expiresIn: 60 })
  const r = await fetch(u.replace(/X-Amz-Signature=..../, 'X-Amz-Signature=0000'))
  eq(r.status, 403)
})
await t('presigned expired 403', async () => {
  const u = await getSignedUrl(c, new S.GetObjectCommand({ Bucket: B, Key: 'a.txt' }), { expiresIn: 1 })
  await new Promise((r) => setTimeout(r, 2100))
  const r = await fetch(u)
  eq(r.status, 403)
})
await t('wrong secret 403', () =>
  fails(
    mk({ credentials: { accessKeyId: ak, secretAccessKey: 'wrong' } }).send(
      new S.GetObjectCommand({ Bucket: B, Key: 'a.txt' }),
    ),
    403,
    'SignatureDoesNotMatch',
    'Forbidden',
    'AccessDenied',
  ),
)
await t('object tagging', async () => {
  await put('tag', '1', { Tagging: 'a=b' })
  const r = await c.send(new S.GetObjectTaggingCommand({ Bucket: B, Key: 'tag' }))
  eq(r.TagSet?.[0]?.Key, 'a')
})
await t('versioning', async () => {
  const V = `${B}-v`
  await c.send(new S.CreateBucketCommand({ Bucket: V }))
  await c.send(
    new S.PutBucketVersioningCommand({ Bucket: V, VersioningConfiguration: { Status: 'Enabled' } }),
  )
  const p1 = await c.send(new S.PutObjectCommand({ Bucket: V, Key: 'k', Body: '1' }))
  const p2 = await c.send(new S.PutObjectCommand({ Bucket: V, Key: 'k', Body: '2' }))
  if (!p1.VersionId || p1.VersionId === p2.VersionId) throw new Error('no version ids')
  const g = await c.send(new S.GetObjectCommand({ Bucket: V, Key: 'k', VersionId: p1.VersionId }))
  eq(await g.Body.transformToString(), '1')
  const l = await c.send(new S.ListObjectVersionsCommand({ Bucket: V }))
  eq(l.Versions?.length, 2)
  await c.send(new S.DeleteObjectCommand({ Bucket: V, Key: 'k' }))
  await fails(c.send(new S.GetObjectCommand({ Bucket: V, Key: 'k' })), 404, 'NoSuchKey')
})
await t('PutBucketNotificationConfiguration', async () => {
  await c.send(
    new S.PutBucketNotificationConfigurationCommand({
      Bucket: B,
      SkipDestinationValidation: true,
      NotificationConfiguration: {
        LambdaFunctionConfigurations: [
          {
            LambdaFunctionArn: 'arn:aws:lambda:us-east-1:123456789012:function:f',
            Events: ['s3:ObjectCreated:*'],
            Filter: { Key: { FilterRules: [{ Name: 'suffix', Value: '.zip' }] } },
          },
        ],
      },
    }),
  )
  const g = await c.send(new S.GetBucketNotificationConfigurationCommand({ Bucket: B }))
  eq(g.LambdaFunctionConfigurations?.length, 1)
})
await t('bucket policy / PAB / lifecycle / encryption', async () => {
  const errs = []
  for (const [n, cmd] of Object.entries({
    policy: new S.PutBucketPolicyCommand({
      Bucket: B,
      Policy: JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${B}/*` },
        ],
      }),
    }),
    pab: new S.PutPublicAccessBlockCommand({
      Bucket: B,
      PublicAccessBlockConfiguration: { BlockPublicAcls: true },
    }),
    life: new S.PutBucketLifecycleConfigurationCommand({
      Bucket: B,
      LifecycleConfiguration: {
        Rules: [{ ID: 'x', Status: 'Enabled', Filter: { Prefix: 'tmp/' }, Expiration: { Days: 1 } }],
      },
    }),
    enc: new S.PutBucketEncryptionCommand({
      Bucket: B,
      ServerSideEncryptionConfiguration: {
        Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
    }),
  }))
    try {
      await c.send(cmd)
    } catch (e) {
      errs.push(`${n}:${e.name}`)
    }
  if (errs.length) throw new Error(errs.join(' '))
})
await t('DeleteBucket nonempty 409', () =>
  fails(c.send(new S.DeleteBucketCommand({ Bucket: B })), 409, 'BucketNotEmpty'),
)
await t('GetObject concurrent during overwrite (no torn read)', async () => {
  const A = Buffer.alloc(3 << 20, 'A'),
    Bb = Buffer.alloc(3 << 20, 'B')
  await put('torn', A)
  let bad = 0
  const w = (async () => {
    for (let i = 0; i < 12; i++) await put('torn', i % 2 ? A : Bb)
  })()
  const r = (async () => {
    for (let i = 0; i < 25; i++) {
      try {
        const g = await c.send(new S.GetObjectCommand({ Bucket: B, Key: 'torn' }))
        const b = Buffer.from(await g.Body.transformToByteArray())
        if (b.length !== A.length || (!b.equals(A) && !b.equals(Bb))) bad++
      } catch (_e) {
        bad++
      }
    }
  })()
  await Promise.all([w, r])
  eq(bad, 0, 'torn reads')
})
const pass = res.filter((r) => r.ok).length
fs.writeFileSync(
  out,
  JSON.stringify({ endpoint, node: process.version, pass, total: res.length, res }, null, 1),
)
console.log(`${pass}/${res.length} pass`)
for (const r of res) if (!r.ok) console.log('  FAIL', r.name, '--', r.err)
process.exit(0)
