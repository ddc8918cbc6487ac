import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rolloutEvent } from '../../lib/release/rollout-event.ts'
import { nameSigningKey, SshKey, withSigner } from '../../local/demo/ssh-key.ts'
import type { ObservedCall } from '../../local/http/service.ts'
import { readAssembly } from '../../local/template/assembly.ts'
import { pip } from '../examples/python.ts'
import { indexSettings, mayUseIndex } from '../index/package-index.ts'
import { type Account, type Call, type Grant, grantsOf, isUse, openAccount } from '../stack/account.ts'
import { iamCalls } from '../stack/iam-calls.ts'
import { failToStart, setAlarm } from './operator.ts'
import { ROOT, type TeamAtWork, teamAtWork } from './team-at-work.ts'

const BOTOCORE = 'botocore==1.44.5'
const VALIDATE = join(import.meta.dirname, '../stack/validate_calls.py')
const mayRun = await mayUseIndex('that the local cloud is as strict as the models of AWS')

/** Where no bucket was given AWS answers an empty name, which its own model does not have. */
const AS_AWS_DOES = /OutputS3BucketName has the size 0/

const APP = 'guestbook'
const ALARM = 'guestbook-errors'
/** The checkout's own, with an alarm watched in staging. */
const FLEETS = readFileSync(join(ROOT, 'fleets.toml'), 'utf8').replace(
  '[environments.staging.guestbook]',
  `$&\nalarms = ["${ALARM}"]`,
)
const PEOPLE = ['publisher-of-staging', 'publisher-of-production', 'viewer']

let team: TeamAtWork
let account: Account
let keys: string
const calls: ObservedCall[] = []

beforeAll(async () => {
  keys = mkdtempSync(join(tmpdir(), 'pybundle-keys-'))
  const signer = await SshKey.make(keys, 'ada')
  const onCall = (call: ObservedCall) => call.principal !== 'user/operator' && calls.push(call)
  team = await teamAtWork({ targets: 2, fleets: withSigner(FLEETS, signer), users: PEOPLE, onCall })
  await setAlarm(team.cloud, ALARM, 'OK')
  await nameSigningKey(team.app, signer)
  await team.commit('production is signed for')
  await team.cloud.startFleet({ environment: 'production', app: APP, count: 2 })
  account = openAccount(readAssembly(team.assembly).template)
  const as = async (user: string, ...args: string[]) => {
    const { exitCode, all } = await team.pybundleAs(user, ...args)
    expect(exitCode, `${user}: ${args.join(' ')}\n${all}`).toBe(0)
    return String(all)
  }
  const staging = ['--environment', 'staging']
  await as('publisher-of-staging', 'publish-release', ...staging)
  await team.write('NEWS.md', 'news')
  await team.commit('news')
  await as('publisher-of-staging', 'publish-code', ...staging)
  await as('publisher-of-production', 'promote', '--from', 'staging', '--to', 'production')
  await as('publisher-of-staging', 'rollback', ...staging)
  await as('publisher-of-staging', 'repair', ...staging)
  await as('publisher-of-staging', 'freeze', '--reason', 'a fair', ...staging)
  await as('publisher-of-staging', 'unfreeze', ...staging)
  await setAlarm(team.cloud, ALARM, 'ALARM')
  const refused = await team.pybundleAs('publisher-of-staging', 'publish-release', ...staging)
  expect([refused.exitCode, refused.all]).toEqual([1, expect.stringContaining(`"${ALARM}" is in ALARM`)])
  await failToStart(team.cloud)
  await as('publisher-of-staging', 'status', '--refresh', ...staging)
  expect(await as('viewer', 'status', ...staging)).toContain('a start of the stack')
}, 180_000)
afterAll(async () => {
  rmSync(keys, { recursive: true, force: true })
  await team?.close()
})

/** The policies of who called; undefined where AWS's own agent did, whose policy is AWS's. */
function policiesOf({ principal, service, operation }: ObservedCall): object[] | undefined {
  const attached = (environment: string, name: 'Publisher' | 'Viewer' | 'Target') =>
    account.attached(environment, APP, name)
  const [kind, name = ''] = principal.split('/')
  if (kind === 'assumed-role') return account.ofRole(name)
  if (kind === 'role') {
    const isOfProgram = service === 's3' || operation === 'GetDocument'
    return isOfProgram ? attached(environmentOf(name), 'Target') : undefined
  }
  if (name === 'viewer') return attached('staging', 'Viewer')
  if (name === 'publisher-of-staging') return attached('staging', 'Publisher')
  // Promoting reads where from.
  if (name === 'publisher-of-production')
    return [...attached('production', 'Publisher'), ...attached('staging', 'Viewer')]
  throw new Error(`nobody knows ${principal}`)
}

const NOT_FOUND = 'Without it S3 answers 403 for what is not there yet.'
const BY_LAMBDA = 'Lambda itself puts there, with the role of its function, what failed for good.'
const RETIRES = 'Retires what is beyond keep_releases: test/rollout/retention.test.ts.'

/** What the day above may do without, and what it is for. */
const UNUSED: Record<string, string> = {
  ...Object.fromEntries(
    ['LookAtFleet', 'OnUpload', 'Rollout'].flatMap((name) =>
      ['CreateLogStream', 'PutLogEvents'].map((action) => [
        `${name}: logs:${action} log-group:${name}Log:*`,
        'Lambda itself writes there, in its name.',
      ]),
    ),
  ),
  'LookAtFleet: s3:GetObject /<environment>/guestbook/state.json':
    'On its schedule, every 15 minutes, it passes over where a rollout is at work.',
  'LookAtFleet: s3:ListBucket ': NOT_FOUND,
  'LookAtFleet: sqs:SendMessage FailedStartsQueue': BY_LAMBDA,
  'LookAtFleet: ssm:DescribeInstanceProperties *': 'Asks whether who is silent was stopped.',
  'OnUpload: events:PutEvents event-bus/default':
    'Tells of what is refused or superseded, which no rollout does.',
  'OnUpload: lambda:ListDurableExecutionsByFunction function:Rollout':
    'Its versions are asked for; AWS does not say whether IAM holds that against the function itself.',
  'OnUpload: sqs:SendMessage FailedStartsQueue': BY_LAMBDA,
  'OnUpload: s3:GetObject /<environment>/guestbook/rollouts/*': 'Reads what an engine that died had done.',
  'OnUpload: s3:PutObject /<environment>/guestbook/requests/*': 'Asks for what was dropped by hand.',
  'Rollout: lambda:GetDurableExecutionState function:Rollout:*/durable-execution/*':
    'A history that is longer than what an invocation is given of it.',
  'Rollout: s3:GetObject /<environment>/guestbook/requests/*': RETIRES,
  'Rollout: s3:ListBucket ': RETIRES,
  'Rollout: s3:PutObjectVersionTagging /<environment>/guestbook/bundles/*': RETIRES,
  'Rollout: s3:PutObjectVersionTagging /<environment>/guestbook/code/*': RETIRES,
  'Rollout: ssm:DescribeInstanceProperties *': 'Asks whether who is silent was stopped.',
  'publisher: s3:AbortMultipartUpload /<environment>/guestbook/bundles/*': 'After an upload that failed.',
  'publisher: s3:AbortMultipartUpload /<environment>/guestbook/code/*': 'After an upload that failed.',
  'publisher: s3:GetObjectTagging /<environment>/guestbook/bundles/*':
    'Of an artifact that has tags: test/cli/upload-retired.test.ts.',
  'publisher: s3:GetObjectTagging /<environment>/guestbook/code/*':
    'Of an artifact that has tags: test/cli/upload-retired.test.ts.',
  'publisher: s3:GetObject /<environment>/guestbook/reports/*':
    'People read there what failed, with any client.',
  'publisher: s3:GetObject /<environment>/guestbook/requests/*':
    'A request whose answer was lost is compared with what is there.',
  'target: kms:GenerateDataKey key': 'Of the report of what failed.',
  'target: s3:ListBucket ': NOT_FOUND,
  'target: s3:PutObject /<environment>/guestbook/reports/<own>/*':
    'The report of what failed: test/target/prepare.test.ts.',
  'viewer: s3:GetObjectVersion /<environment>/guestbook/bundles/*':
    'Of pybundle diff, and of promoting from there.',
  'viewer: s3:GetObjectVersion /<environment>/guestbook/code/*': 'Of promoting from there.',
}

const targetOf = (id: string) => team.cloud.targets().find(({ instanceId }) => instanceId === id)
const environmentOf = (id: string) => targetOf(id)?.environment ?? ''
const tagsOf = (id: string) => ({ app: APP, environment: environmentOf(id) })

describe('each call that was made', () => {
  it('is one of which is known what IAM is asked', () => {
    const unknown = calls.filter((call) => policiesOf(call) && !iamCalls(account, call, tagsOf))
    expect(unknown.map(({ service, operation }) => `${service}:${operation}`)).toEqual([])
  })

  it('was made by everybody', () => {
    const callers = new Set(
      calls.map(({ principal }) => principal.replace(/\/i-\w+$/, '').replace(/^.*\//, '')),
    )
    expect([...callers].join()).toMatch(/OnUpload/)
    for (const who of [...PEOPLE, 'role']) expect([...callers]).toContain(who)
    expect([...callers].join()).toMatch(/Rollout.*LookAtFleet|LookAtFleet.*Rollout/)
  })

  it('is allowed to who made it', async () => {
    const asked = new Map<string, { call: Call; held: object[] }>()
    for (const observed of calls) {
      const held = policiesOf(observed)
      for (const call of (held && iamCalls(account, observed, tagsOf)) ?? [])
        asked.set(`${observed.principal} ${JSON.stringify(call)}`, { call, held: held ?? [] })
    }
    const refused: string[] = []
    for (const [text, { call, held }] of asked)
      if ((await account.decide(held, call)) !== 'Allowed') refused.push(text)
    console.info(`${calls.length} calls, ${asked.size} different questions to IAM`)
    expect(refused).toEqual([])
  }, 120_000)

  it('that put events put such as are documented', () => {
    const events = calls
      .filter(({ operation }) => operation === 'PutEvents')
      .flatMap(({ input }) => (input as { Entries: { Detail: string }[] }).Entries)
      .map(({ Detail }) => rolloutEvent.parse(JSON.parse(Detail)))
    expect(new Set(events.map(({ status }) => status))).toEqual(
      new Set(['begun', 'prepared', 'migrated', 'wave-activated', 'done', 'refused']),
    )
  })

  it('uses what it is granted, or it is said why it is granted all the same', () => {
    const granted = new Map<string, boolean>()
    for (const observed of calls) {
      const asked = iamCalls(account, observed, tagsOf) ?? []
      for (const grant of grantsOf(policiesOf(observed) ?? [])) {
        const name = describeGrant(observed.principal, grant)
        granted.set(name, granted.get(name) || asked.some((call) => isUse(grant, call)))
      }
    }
    const unused = [...granted].filter(([, isUsed]) => !isUsed).map(([name]) => name)
    expect(unused.filter((name) => !(name in UNUSED))).toEqual([])
    expect(Object.keys(UNUSED).filter((name) => !granted.has(name))).toEqual([])
  })

  it('is one of functions whose log tells of which app and rollout each line is, in JSON', () => {
    const folder = join(team.directory, 'cloud/lambda/logs')
    const logs = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8').trim())
    const lines = logs
      .join('\n')
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(
      lines.filter(({ environment, app, function_name }) => !(environment && app && function_name)),
    ).toEqual([])
    const ends = lines.filter(({ message }) => message === 'The rollout ends.')
    expect(ends.length).toBeGreaterThan(3)
    expect(new Set(ends.map(({ rollout }) => rollout)).size).toBe(ends.length)
  })

  it.runIf(mayRun)(
    'fits the models of AWS, and so does what the local cloud answers',
    async () => {
      const packages = join(team.directory, 'packages')
      await pip(['install', '--target', packages, BOTOCORE], team.directory, 'python3', indexSettings())
      // The agent's own operations are in no public model.
      const lines = calls.filter(policiesOf).map(asJson)
      expect(lines.length).toBeGreaterThan(500)
      const validated = await execa('python3', [VALIDATE], {
        input: lines.join('\n'),
        env: { PYTHONPATH: packages },
      })
      expect(validated.stdout.split('\n').filter((line) => line && !AS_AWS_DOES.test(line))).toEqual([])
    },
    120_000,
  )
})

/** Environments have the same statements each: what one of them uses is used. */
function describeGrant(principal: string, { action, resource }: Grant): string {
  const who = principal.replace(/^role\/.*/, 'target').replace(/^.*(OnUpload|Rollout|LookAtFleet).*/, '$1')
  const what = resource.replace(account.bucket, '').replace(account.key, 'key')
  const named = what.replace(/^arn:aws(:[\w-]*){3}:/, '').replace(/Pybundle-Control(\w+?)[0-9A-F]{8}/, '$1')
  const where = named
    .replace(/\$\{.+?\}/, '<own>')
    .replace(/\b(staging|production)([/-])/g, '<environment>$2')
  return `${who.replace(/^.*\//, '').replace(/-of-\w+/, '')}: ${action} ${where}`
}

function asJson({ service, operation, input, output }: ObservedCall): string {
  return JSON.stringify({ service, operation, input: plain(input), output: plain(output) })
}

/** Times and bytes are told apart from text. */
function plain(value: unknown): unknown {
  if (value instanceof Date) return { $date: value.toISOString() }
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString('base64') }
  if (value instanceof Readable) return { $bytes: '' }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}
