import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { openCredentialStore } from '../../local/credentials.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { createS3Service } from '../../local/s3/service.ts'
import { temporaryDirectory } from './s3-endpoint.ts'

test('the SDK with its defaults finds S3 in all 61 checks of the conformance probe', async () => {
  const directory = temporaryDirectory()
  const credentials = openCredentialStore(directory)
  const s3 = createS3Service({ directory, region: 'us-east-1' })
  const endpoint = await startEndpoint({ port: 0, credentials, services: { s3 } })
  const { accessKeyId, secretAccessKey } = credentials.issue('probe')
  const results = join(directory, 'results.json')

  const probe = join(import.meta.dirname, 's3-conformance.mjs')
  await execa('node', [probe, endpoint.url, accessKeyId, secretAccessKey, results], { reject: false })
  await endpoint.close()

  const { total, res } = JSON.parse(readFileSync(results, 'utf8'))
  expect(res.filter((check: { ok: boolean }) => !check.ok)).toEqual([])
  expect(total).toBe(61)
}, 120_000)
