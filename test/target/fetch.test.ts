import { appendFileSync, existsSync, rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { findPython } from '../../lib/bundle/find-python.ts'
import { sha256 } from '../../lib/release/digest.ts'
import { PROGRAM_PARTS, programSource } from '../../lib/stack/program-documents.ts'
import { Signer } from '../signer.ts'
import { ask, newRequestId, statementFor } from './signed-requests.ts'
import { PROGRAM, pythonOutput, ROLLOUT, type TestTarget } from './target.ts'
import { project, Workshop } from './workshop.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, all four examples. */
const VECTORS: [string, string, string, Record<string, string>, string, string][] = [
  [
    'GET Object',
    'GET',
    '/test.txt',
    { Range: 'bytes=0-9' },
    '',
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  ],
  [
    'PUT Object',
    'PUT',
    '/test%24file.text',
    { Date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    'Welcome to Amazon S3.',
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  ],
  [
    'GET Bucket Lifecycle',
    'GET',
    '/?lifecycle',
    {},
    '',
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  ],
  [
    'Get Bucket',
    'GET',
    '/?max-keys=2&prefix=J',
    {},
    '',
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
]

const SIGN = `
import datetime, importlib.util, json, sys
spec = importlib.util.spec_from_file_location("target_program", sys.argv[1])
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)
method, url, headers, body = json.loads(sys.argv[2])
credentials = {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
when = datetime.datetime(2013, 5, 24)
print(program.signed_headers(method, url, headers, credentials, "us-east-1", when, body.encode())["Authorization"])
`

describe('the signature', () => {
  it.each(VECTORS)(
    'is the one that AWS publishes for %s',
    async (_, method, path, headers, body, signature) => {
      const { executable } = await findPython()
      const request = JSON.stringify([method, `https://examplebucket.s3.amazonaws.com${path}`, headers, body])
      const said = pythonOutput(executable, ['-B', '-c', SIGN, PROGRAM, request])
      expect(said).toMatch(
        /^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\/20130524\/us-east-1\/s3\/aws4_request,/,
      )
      expect(said).toContain(`Signature=${signature}`)
    },
  )
})

describe('fetching', () => {
  let workshop: Workshop
  let target: TestTarget
  let signer: Signer
  beforeAll(async () => {
    workshop = await Workshop.open('fetch')
    signer = new Signer(workshop.folder)
    target = await workshop.newTarget()
    await target.run('prepare', await publish('0'))
  })
  afterAll(() => workshop.close())

  const publish = (text: string) => workshop.publish({ 'pyproject.toml': project(), text }, { wheels: [] })

  it.each(['unavailable', 'cut', 'skewed', 'expired'] as const)(
    'gets over an answer that is %s',
    async (fault) => {
      const release = await publish(fault)
      workshop.bucket.faults.push(fault, fault === 'skewed' ? undefined : fault)
      const { verdict, progress } = await target.run('prepare', release)
      expect(verdict.outcome).toBe('done')
      expect(progress).toContain('trying again')
    },
  )

  it('uses the server’s time where the clock of the target is wrong', async () => {
    const release = await publish('late')
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3 * 3600 * 1000 })
    const { verdict, progress } = await target.run('prepare', release)
    vi.useRealTimers()
    expect(progress).toContain('InvalidSignatureException; trying again')
    expect(verdict.outcome).toBe('done')
  })

  it('names the record that the bucket does not have', async () => {
    const release = await publish('unrecorded')
    workshop.bucket.forget(`staging/guestbook/releases/${release.id}.json`)
    const { verdict } = await target.run('prepare', release)
    expect(verdict.reason).toBe(
      `the bucket has no record "staging/guestbook/releases/${release.id}.json" of this release`,
    )
  })

  it.each([
    ['denied', '403 AccessDenied: the-role may not perform: kms:Decrypt'],
    ['elsewhere', '301 PermanentRedirect: the bucket is in us-east-1'],
    ['no bucket', '404 NoSuchBucket'],
  ] as const)('says what S3 says where it is %s, and asks nowhere else', async (fault, said) => {
    const release = await publish(fault)
    const before = workshop.bucket.fetched.length
    workshop.bucket.faults.push(fault)
    const { verdict } = await target.run('prepare', release)
    const key = `the-bucket/staging/guestbook/releases/${release.id}.json`
    expect(verdict).toMatchObject({ outcome: 'failed', reason: `S3 refused "${key}": ${said}` })
    expect(workshop.bucket.fetched).toHaveLength(before + 1)
  })

  it('takes a new target for no environment whose state its role may not read', async () => {
    const newcomer = await workshop.newTarget()
    workshop.bucket.faults.push('denied')
    const { verdict } = await newcomer.run('revert', await publish('of another environment'), { token: 99 })
    expect(verdict).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('403 AccessDenied') })
    expect(existsSync(newcomer.path('state', 'target.json'))).toBe(false)
  })

  describe.each(PROGRAM_PARTS)('the part of its program to %s', (part) => {
    const action = part === 'verify' ? 'prepare' : part

    it('is run only if it is what the document names', async () => {
      const other = await workshop.newTarget({ signers: part === 'verify' ? [signer.publicKey] : [] })
      other.config.programs = {
        ...Object(other.config.programs),
        [part]: { document: part, sha256: '0'.repeat(64) },
      }
      other.holdLock(1)
      const { verdict } = await other.run(action, await publish('other'), { rollout: ROLLOUT })
      expect(verdict).toMatchObject({
        outcome: 'failed',
        reason: `document "${part}" is not what this one names: its sha256 differs`,
      })
    })

    it('is the one that the document names, also where a newer one is there by now', async () => {
      const newcomer = await workshop.newTarget({ signers: part === 'verify' ? [signer.publicKey] : [] })
      const release = await publish('old')
      const rollout = newRequestId()
      ask(workshop.bucket, rollout, await signer.sign(statementFor(release, rollout)))
      newcomer.holdLock(1)
      if (part === 'migrate') await newcomer.run('prepare', release)
      workshop.bucket.updates = 2
      const { verdict } = await newcomer.run(action, release, { rollout })
      workshop.bucket.updates = 0
      expect(verdict).toMatchObject({ outcome: 'done' })
    })

    it('is fetched once, and again where what was kept has changed', async () => {
      const release = await publish('again')
      const rollout = newRequestId()
      ask(workshop.bucket, rollout, await signer.sign(statementFor(release, rollout)))
      target.config.signers = part === 'verify' ? [signer.publicKey] : []
      const kept = target.path('state', `${part}-${sha256(programSource(part))}.py`)
      target.holdLock(1)
      const told = []
      for (const damage of [() => rmSync(kept, { force: true }), () => {}, () => appendFileSync(kept, '#')]) {
        rmSync(target.path('releases'), { recursive: true, force: true })
        if (part === 'migrate') await target.run('prepare', release)
        damage()
        told.push(await target.run(action, release, { rollout }))
      }
      target.config.signers = []
      expect(told.map(({ verdict }) => verdict.outcome)).toEqual(['done', 'done', 'done'])
      const fetches = told.map(({ progress }) => progress.includes(`fetching document ${part}`))
      expect(fetches).toEqual([true, false, true])
    })
  })

  it('says so when the instance’s role cannot be used', async () => {
    workshop.bucket.isRoleUsable = false
    const { verdict } = await target.run('prepare', await publish('unusable role'))
    workshop.bucket.isRoleUsable = true
    expect(verdict.reason).toBe("the instance's role cannot be used: EC2 cannot assume the role the-role.")
  })

  it('says so when the instance has no role', async () => {
    workshop.bucket.hasRole = false
    const { verdict } = await target.run('prepare', await publish('no role'))
    workshop.bucket.hasRole = true
    expect(verdict.reason).toContain('this instance has no role')
  })
})
