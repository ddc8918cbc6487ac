import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa, type Options } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askApp, eventually } from '../../local/demo/acceptance.ts'
import { type TeamAtWork, teamAtWork } from '../e2e/team-at-work.ts'
import { pip } from '../examples/python.ts'
import { indexSettings, mayUseIndex } from './package-index.ts'

/** The clients as everybody has them: nothing of ours is in them, and they know nothing of ours. */
const CLIENTS = ['awscli==1.46.3', 'boto3==1.44.5']
const DEPLOY_WITH_BOTO3 = join(import.meta.dirname, 'deploy_with_boto3.py')
const DOCUMENT = 'pybundle-staging-guestbook'
/** More than 8 MB, at which the AWS CLI begins to upload in parts. */
const LARGE = 9_000_000

const mayRun = await mayUseIndex('that the AWS CLI and boto3 work with the local cloud')

const packages = mkdtempSync(join(tmpdir(), 'pybundle-clients-'))
let team: TeamAtWork

beforeAll(async () => {
  if (!mayRun) return
  const install = ['install', '--no-compile', '--target', packages, ...CLIENTS]
  const installed = pip(install, packages, 'python3', indexSettings())
  ;[team] = await Promise.all([teamAtWork({ targets: 2 }), installed])
  expect(await team.pybundle('publish-release', '--environment', 'staging')).toMatchObject({ exitCode: 0 })
}, 300_000)
afterAll(async () => {
  await team?.close()
  rmSync(packages, { recursive: true, force: true })
})

const run = (args: string[], options: Options = {}) => {
  const nobody = { AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' }
  const env = { ...team.cloud.env, ...nobody, PYTHONPATH: packages, AWS_PAGER: '' }
  return execa('python3', args, { cwd: team.directory, reject: false, ...options, env })
}
const program = () => join(packages, 'bin', 'aws')
const fails = async (...args: string[]) => String((await run([program(), ...args])).stderr)

async function aws(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run([program(), ...args])
  expect(exitCode, `aws ${args.join(' ')}\n${stderr}`).toBe(0)
  return String(stdout)
}

const awsJson = async (...args: string[]) => JSON.parse(await aws(...args, '--output', 'json'))
const place = (path: string) => `s3://${team.cloud.bucket}/staging/guestbook/${path}`
const readState = async () => JSON.parse(await aws('s3', 'cp', place('state.json'), '-'))
const fleetIds = () => team.fleet.map(({ instanceId }) => instanceId).sort()

async function expectServed(release: string): Promise<void> {
  for (const { url } of team.fleet) expect(await askApp(url)).toMatchObject({ status: 'ok', release })
}

/** The app's files as git archives them, and a file that makes them large. */
async function archiveCode(): Promise<string> {
  await writeFile(join(team.app, 'large.bin'), randomBytes(LARGE))
  await team.commit('something large')
  const archive = join(team.directory, 'code.tar.gz')
  await execa('git', ['archive', '--format=tar.gz', `--output=${archive}`, 'HEAD'], { cwd: team.app })
  return archive
}

describe.runIf(mayRun)('the unmodified AWS CLI', () => {
  it('uploads code in parts, which the fleet then serves', { timeout: 120_000 }, async () => {
    const { current: before } = await readState()
    await aws('s3', 'cp', await archiveCode(), place('code/by-hand.tar.gz'), '--no-progress')
    const state = await eventually('the release of the dropped code', 60, async () => {
      const found = await readState()
      return found.current.code !== before.code && !found.lock ? found : undefined
    })
    const key = ['--bucket', team.cloud.bucket, '--key', 'staging/guestbook/code/by-hand.tar.gz']
    expect((await awsJson('s3api', 'head-object', ...key)).ETag).toMatch(/^"[0-9a-f]{32}-2"$/)
    expect(state).toMatchObject({ current: { bundle: before.bundle }, previous: { release: before.release } })
    await expectServed(state.current.release)
  })

  it('lists the fleet, what it was told, and how each target took it', async () => {
    const { InstanceInformationList: fleet } = await awsJson('ssm', 'describe-instance-information')
    expect(fleet.map(({ InstanceId }: { InstanceId: string }) => InstanceId).sort()).toEqual(fleetIds())
    expect(fleet).toMatchObject(fleet.map(() => ({ PingStatus: 'Online', ResourceType: 'EC2Instance' })))

    const last = ['--filters', `key=DocumentName,value=${DOCUMENT}`, '--page-size', '2', '--max-items', '1']
    const { Commands: commands } = await awsJson('ssm', 'list-commands', ...last)
    expect(commands).toMatchObject([{ Status: 'Success', TargetCount: 2, CompletedCount: 2, ErrorCount: 0 }])
    const asked = ['--command-id', commands[0].CommandId, '--details']
    const { CommandInvocations: told } = await awsJson('ssm', 'list-command-invocations', ...asked)
    expect(told.map(({ InstanceId }: { InstanceId: string }) => InstanceId).sort()).toEqual(fleetIds())
    for (const { CommandPlugins } of told) {
      expect(CommandPlugins).toMatchObject([{ Name: 'target', ResponseCode: 0 }])
      expect(CommandPlugins[0].Output).toContain('"action": "activate", "outcome": "done"')
    }
  })

  it('sends a command, waits for its end and reads what it said', async () => {
    const [instance = ''] = fleetIds()
    const send = ['--document-name', DOCUMENT, '--instance-ids', instance, '--parameters', 'action=status']
    const { Command: command } = await awsJson('ssm', 'send-command', ...send)
    expect(command).toMatchObject({ Status: 'Pending', InstanceIds: [instance], TimeoutSeconds: 3600 })
    const where = ['--command-id', command.CommandId, '--instance-id', instance]
    await aws('ssm', 'wait', 'command-executed', ...where)
    const said = await awsJson('ssm', 'get-command-invocation', ...where)
    const { current } = await readState()
    expect(JSON.parse(said.StandardOutputContent)).toMatchObject({
      outcome: 'done',
      current: current.release,
    })
  })

  it('reads back what it uploaded, and copies the records of all rollouts', async () => {
    const back = join(team.directory, 'back.tar.gz')
    await aws('s3', 'cp', place('code/by-hand.tar.gz'), back, '--no-progress')
    expect((await readFile(back)).equals(await readFile(join(team.directory, 'code.tar.gz')))).toBe(true)
    const sync = ['s3', 'sync', place('rollouts/'), join(team.directory, 'records'), '--no-progress']
    expect((await aws(...sync)).split('\n')).toHaveLength(2)
  })

  it('is refused in the words of AWS', async () => {
    const [instance = ''] = fleetIds()
    const send = ['ssm', 'send-command', '--document-name', DOCUMENT, '--instance-ids', instance]
    const state = ['--bucket', team.cloud.bucket, '--key', 'staging/guestbook/state.json']
    const refused = await Promise.all([
      fails(...send, '--parameters', '{"release":["$(id)"]}'),
      fails(...send, '--document-hash', '0'.repeat(64)),
      fails('s3', 'ls', 's3://somebody-elses-bucket'),
      fails('s3', 'cp', place('nowhere'), '-'),
      fails('s3api', 'put-object', ...state, '--if-none-match', '*'),
    ])
    const codes = refused.map((words) => /\((\w+)\)/.exec(words)?.[1])
    expect(codes).toEqual([
      'InvalidParameters',
      'InvalidDocument',
      'NoSuchBucket',
      '404',
      'PreconditionFailed',
    ])
  })
})

describe.runIf(mayRun)('unmodified boto3', () => {
  it('publishes code in parts with a request of its own, pages and waits', { timeout: 120_000 }, async () => {
    const { exitCode, stdout, stderr } = await run([
      DEPLOY_WITH_BOTO3,
      team.cloud.bucket,
      await archiveCode(),
    ])
    expect(exitCode, String(stderr)).toBe(0)
    const { status, ...told } = JSON.parse(String(stdout))
    expect(told).toMatchObject({
      outcome: 'done',
      current: told.release,
      parts: 2,
      invocations: fleetIds(),
      fleet: fleetIds(),
      refused: [
        'ClientError',
        'NoSuchKey',
        'InvocationDoesNotExist',
        'InvalidDocument',
        'InvalidNextToken',
        'InvalidInstanceId',
      ],
    })
    // One target prepares first, then the other; both activate.
    expect(told.commands).toBeGreaterThan(2)
    expect(told.keys).toBeGreaterThan(10)
    expect(status).toMatchObject({ action: 'status', outcome: 'done', current: told.release })
    await expectServed(told.release)
  })
})
