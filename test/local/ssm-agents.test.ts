import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CancelCommandCommand,
  type CommandInvocation,
  GetCommandInvocationCommand,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  SendCommandCommand,
  type SendCommandCommandInput,
  SSMClient,
} from '@aws-sdk/client-ssm'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openCredentialStore } from '../../local/credentials.ts'
import { type Endpoint, startEndpoint } from '../../local/http/endpoint.ts'
import { openProcessRecord } from '../../local/process-record.ts'
import { openSsm, type Ssm } from '../../local/ssm/ssm.ts'
import { startTarget, type Target } from '../../local/targets/target.ts'
import { agentClient } from './agent-client.ts'
import { scriptDocument, until } from './target-cloud.ts'

/** A fleet of real agents, told what to do by the unmodified SDK. */

const FLEET = ['i-0000000000000000a', 'i-0000000000000000b', 'i-0000000000000000c']
const TAGS = { app: 'guestbook' }
const REGION = 'us-east-1'
const directory = realpathSync(mkdtempSync(join(tmpdir(), 'fleet-')))
const credentials = openCredentialStore(directory)
const processes = openProcessRecord(join(directory, 'processes'))

let ssm: Ssm
let endpoint: Endpoint
let client: SSMClient
let targets: Target[] = []

async function startService(port: number) {
  ssm = openSsm({ directory: join(directory, 'ssm'), region: REGION, endpointUrl: () => endpoint.url })
  endpoint = await startEndpoint({ port, credentials, services: ssm.services })
}

async function stopService() {
  ssm.close()
  await endpoint.close()
}

async function start(instanceId: string): Promise<Target> {
  ssm.registerInstance(instanceId, TAGS)
  return startTarget({
    instanceId,
    directory: join(directory, instanceId),
    endpointUrl: endpoint.url,
    region: REGION,
    credentials,
    app: 'guestbook',
    base: '/opt/pybundle',
    envFile: '/opt/pybundle/guestbook/shared/.env',
    env: {},
    listen: { host: '127.0.0.1', port: await freePort() },
    sandbox: 'none',
    processes,
  })
}

beforeAll(async () => {
  await startService(0)
  client = new SSMClient({
    endpoint: endpoint.url,
    region: REGION,
    credentials: credentials.issue('user/tester'),
  })
  ssm.putDocument({ name: 'note', content: scriptDocument('echo $SSM_COMMAND_ID') })
  ssm.putAssociation({
    documentName: 'note',
    associationName: 'catch-up',
    parameters: {},
    targets: [{ Key: 'tag:app', Values: ['guestbook'] }],
  })
  targets = await Promise.all(FLEET.slice(0, 2).map(start))
  await until(() => FLEET.slice(0, 2).every((id) => ssm.isOnline(id)))
})
afterAll(async () => {
  await Promise.all(targets.map((target) => target.stop()))
  client.destroy()
  await stopService()
  rmSync(directory, { recursive: true, force: true })
})

let documents = 0

async function send(script: string, options: Partial<SendCommandCommandInput> = {}) {
  documents += 1
  const DocumentName = `script-${documents}`
  ssm.putDocument({ name: DocumentName, content: scriptDocument(script, { timeoutSeconds: '20' }) })
  const everybody = options.Targets ? {} : { InstanceIds: FLEET.slice(0, 2) }
  const { Command } = await client.send(new SendCommandCommand({ DocumentName, ...everybody, ...options }))
  return Command?.CommandId ?? ''
}

async function statusOf(CommandId: string) {
  const { Commands } = await client.send(new ListCommandsCommand({ CommandId }))
  return Commands?.[0]?.StatusDetails
}

async function ended(CommandId: string): Promise<Record<string, CommandInvocation>> {
  await until(async () => !/Pending|InProgress|Cancelling/.test((await statusOf(CommandId)) ?? ''))
  const { CommandInvocations } = await client.send(
    new ListCommandInvocationsCommand({ CommandId, Details: true }),
  )
  return Object.fromEntries((CommandInvocations ?? []).map((each) => [each.InstanceId, each]))
}

test('a command reaches everybody who carries the tags, each says who it is', async () => {
  const found = await ended(
    await send('echo $AWS_SSM_INSTANCE_ID', { Targets: [{ Key: 'tag:app', Values: ['guestbook'] }] }),
  )
  const said = Object.entries(found).map(([id, { CommandPlugins }]) => [id, CommandPlugins?.[0]?.Output])
  expect(said.sort()).toEqual(FLEET.slice(0, 2).map((id) => [id, `${id}\n`]))
})

test('with MaxConcurrency 1 nobody begins before the one before has ended', async () => {
  const log = join(directory, 'order')
  const script = `echo begin >> ${log}; sleep 0.3; echo end >> ${log}`
  const id = await send(script, { MaxConcurrency: '1' })
  await ended(id)
  expect(readFileSync(log, 'utf8').trim().split('\n')).toEqual(['begin', 'end', 'begin', 'end'])
  expect(await statusOf(id)).toBe('Success')
})

test('after one error too many nobody else is asked', async () => {
  const found = await ended(await send('exit 3', { MaxConcurrency: '1', MaxErrors: '0' }))
  expect(Object.values(found).map(({ StatusDetails }) => StatusDetails)).toEqual(['Failed', 'Terminated'])
  expect(found[FLEET[0] ?? '']?.CommandPlugins?.[0]).toMatchObject({ ResponseCode: 3, Status: 'Failed' })
})

test('a running command is cancelled with all that it has started', async () => {
  const id = await send(`sleep 77.${process.pid} & sleep 77.${process.pid}`)
  await until(async () => (await listed(id)).every(({ Status }) => Status === 'InProgress'))
  await client.send(new CancelCommandCommand({ CommandId: id }))
  const found = await ended(id)
  expect(Object.values(found).map(({ StatusDetails }) => StatusDetails)).toEqual(['Cancelled', 'Cancelled'])
  expect(await statusOf(id)).toBe('Cancelled')
})

const listed = async (CommandId: string) =>
  (await client.send(new ListCommandInvocationsCommand({ CommandId }))).CommandInvocations ?? []

test('a command that runs while the service is away ends with its own words', async () => {
  const go = join(directory, 'go')
  const id = await send(`until [ -e ${go} ]; do sleep 0.05; done; echo still here`)
  await until(async () => (await listed(id)).every(({ Status }) => Status === 'InProgress'))
  const port = Number(new URL(endpoint.url).port)
  await stopService()
  writeFileSync(go, '')
  await startService(port)
  await ended(id)
  for (const InstanceId of FLEET.slice(0, 2)) {
    const found = await client.send(new GetCommandInvocationCommand({ CommandId: id, InstanceId }))
    expect(found).toMatchObject({ Status: 'Success', StandardOutputContent: 'still here\n' })
  }
})

test('whoever joins late runs the association of its tags at once', async () => {
  const [, , late = ''] = FLEET
  targets.push(await start(late))
  const { associations } = agentClient(endpoint.url, late, credentials.issue(`role/${late}`, 3600))
  const status = async () => (await associations()).Associations[0]?.DetailedStatus
  await until(async () => (await status()) === 'Success')
})

test('what is sent to a target that is off waits for it', async () => {
  const [, , late = ''] = FLEET
  await targets.pop()?.stop()
  const id = await send('echo awake', { InstanceIds: [late] })
  expect(await statusOf(id)).toBe('InProgress')
  targets.push(await start(late))
  const found = await ended(id)
  expect(found[late]?.CommandPlugins?.[0]?.Output).toBe('awake\n')
})

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
