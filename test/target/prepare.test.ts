import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { filesAsTarGz, publishRelease } from './artifacts.ts'
import { type BucketAndMetadata, startBucketAndMetadata } from './bucket-and-metadata.ts'
import { TestTarget } from './target.ts'

const folder = mkdtempSync(join(tmpdir(), 'pybundle-prepare-'))
let bucket: BucketAndMetadata

beforeAll(async () => {
  bucket = await startBucketAndMetadata(join(folder, 'cloud'))
})
afterAll(async () => {
  await bucket.close()
  rmSync(folder, { recursive: true, force: true })
})

let made = 0
const newTarget = (config?: Record<string, unknown>) =>
  TestTarget.make(join(folder, `target-${made++}`), bucket, config)
const publish = async (files: Record<string, string>, more = {}) =>
  publishRelease(bucket, join(folder, 'artifacts'), { code: await filesAsTarGz(files), ...more })

const PROJECT = '[tool.pybundle]\napp = "guestbook"\n'
const FIVE = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'].map((name) => ({ name, version: '1.0' }))

describe('prepare', () => {
  it('installs the bundle and unpacks the code beside what runs', async () => {
    const target = await newTarget()
    const release = await publish({ 'pyproject.toml': PROJECT, 'app.py': 'import alpha\n' }, { wheels: FIVE })

    const { verdict, exitCode, seconds, progress } = await target.run('prepare', release)
    console.log(verdict, seconds, progress)

    expect([verdict.outcome, verdict.current, exitCode]).toEqual(['done', null, 0])
    expect(target.read('releases', release.id, 'app.py')).toBe('import alpha\n')
    const venv = readlinkSync(target.path('releases', release.id, '.venv'))
    expect(venv).toMatch(/^\.\.\/\.\.\/venvs\/[0-9a-f]{12}$/)
    expect(readdirSync(target.path('tmp'))).toEqual([])
    const again = await target.run('prepare', release)
    console.log(again.seconds)
    const second = await publish({ 'pyproject.toml': PROJECT, 'app.py': 'import beta\n' }, { wheels: FIVE })
    const s = await target.run('prepare', second)
    console.log(s.seconds, s.verdict)
  })
})
