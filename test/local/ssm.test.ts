import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  CancelCommandCommand,
  DescribeDocumentCommand,
  DescribeInstanceInformationCommand,
  type DescribeInstanceInformationCommandInput,
  GetCommandInvocationCommand,
  InvalidDocument,
  InvalidInstanceId,
  InvalidParameters,
  InvocationDoesNotExist,
  ListCommandInvocationsCommand,
  ListCommandsCommand,
  SendCommandCommand,
  type SendCommandCommandInput,
  SSMClient,
} from '@aws-sdk/client-ssm'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type CredentialStore, openCredentialStore } from '../../local/credentials.ts'
import { type Endpoint, startEndpoint } from '../../local/http/endpoint.ts'
import { openSsm, type Ssm } from '../../local/ssm/ssm.ts'
import { agentClient } from './agent-client.ts'

const DOCUMENT = {
  schemaVersion: '2.2',
  parameters: { action: { type: 'String', default: 'status', allowedPattern: '^[a-z]+$' } },
  mainSteps: [
    { action: 'aws:runShellScript', name: 'target', inputs: { timeoutSeconds: '60', runCommand: ['id'] } },
  ],
}

let directory: string
let credentials: CredentialStore
let ssm: Ssm
let endpoint: Endpoint
let client: SSMClient

async function start() {
  credentials = openCredentialStore(directory)
  ssm = openSsm({ directory, region: 'us-east-1', endpointUrl: () => endpoint.url })
  endpoint = await startEndpoint({ port: 0, credentials, services: ssm.services })
  const issued = credentials.issue('user/test')
  client = new SSMClient({ endpoint: endpoint.url, region: 'us-east-1', credentials: issued, maxAttempts: 1 })
}

async function stop() {
  client.destroy()
  ssm.close()
  await endpoint.close()
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ssm-'))
  await start()
  ssm.putDocument({ name: 'doc', content: DOCUMENT, versionName: 'one' })
})
afterEach(async () => {
  await stop()
  await rm(directory, { recursive: true, force: true })
})

const agentOf = (id: string) => agentClient(endpoint.url, id, credentials.issue(`role/${id}`, 3600))

async function online(...ids: string[]) {
  for (const id of ids) {
    ssm.registerInstance(id, { app: 'guestbook' })
    await agentOf(id).introduce()
  }
}

async function send(input: Partial<SendCommandCommandInput>) {
  const { Command } = await client.send(new SendCommandCommand({ DocumentName: 'doc', ...input }))
  return Command?.CommandId ?? ''
}

async function answer(id: string, status: string, output = '') {
  const [message] = await agentOf(id).messages()
  if (!message) throw new Error(`nothing came for ${id}`)
  await agentOf(id).reply(message.MessageId, 'InProgress')
  await agentOf(id).acknowledge(message.MessageId)
  await agentOf(id).reply(message.MessageId, status, output)
  return message
}

async function invocations(CommandId: string) {
  const { CommandInvocations } = await client.send(
    new ListCommandInvocationsCommand({ CommandId, Details: true }),
  )
  return Object.fromEntries((CommandInvocations ?? []).map((each) => [each.InstanceId, each.StatusDetails]))
}

async function statusOf(CommandId: string) {
  const { Commands } = await client.send(new ListCommandsCommand({ CommandId }))
  return Commands?.[0]?.StatusDetails
}

/** As if the service had been down until the command's time was over. */
async function restartAtTheEndOf(id: string) {
  await stop()
  const file = join(directory, 'commands', `${id}.json`)
  const command = JSON.parse(await readFile(file, 'utf8'))
  await writeFile(file, JSON.stringify({ ...command, expiresAt: new Date().toISOString() }))
  await start()
}

/** Word for word in the agent's own shape: agent/runcommand/testdata and agent/contracts of its source. */
const agentReply = (documentStatus: string, runtimeStatus: object) => ({
  additionalInfo: {
    agent: { lang: 'en-US', name: 'amazon-ssm-agent', os: '', osver: '1', ver: '3.3.1142.0' },
    dateTime: '2024-10-21T18:08:11.000Z',
    runId: '',
    runtimeStatusCounts: {},
  },
  documentStatus,
  documentTraceOutput: '',
  runtimeStatus,
})

const stepOfReply = (second: string, outcome: object) => ({
  name: 'aws:runShellScript',
  startDateTime: `2024-10-21T18:08:${second}.000Z`,
  endDateTime: `2024-10-21T18:08:${second}.500Z`,
  outputS3BucketName: '',
  outputS3KeyPrefix: '',
  stepName: '',
  ...outcome,
})

const REPLIES_OF_TWO_STEPS = [
  agentReply('InProgress', {}),
  agentReply('InProgress', {
    one: stepOfReply('11', {
      status: 'Success',
      code: 0,
      output: 'a',
      standardOutput: 'a',
      standardError: '',
    }),
  }),
  agentReply('InProgress', {
    two: stepOfReply('12', {
      status: 'Failed',
      code: 7,
      output: 'b\n----------ERROR-------\nno',
      standardOutput: 'b',
      standardError: 'no',
    }),
  }),
  agentReply('Failed', {}),
]

describe('SendCommand', () => {
  it('delivers the document with its parameters as the agent expects them', async () => {
    await online('i-1')
    const id = await send({ InstanceIds: ['i-1'], Parameters: { action: ['prepare'] } })
    const { MessageId, Topic, Payload } = await answer('i-1', 'Success')
    expect(MessageId).toBe(`aws.ssm.${id}.i-1`)
    expect(Topic).toBe('aws.ssm.sendCommand.us-east-1.i-1')
    expect(JSON.parse(Payload)).toEqual({
      Parameters: { action: 'prepare' },
      DocumentContent: DOCUMENT,
      CommandId: id,
      DocumentName: 'doc',
      OutputS3KeyPrefix: '',
      OutputS3BucketName: '',
      CloudWatchLogGroupName: '',
      CloudWatchOutputEnabled: 'false',
    })
    expect(await statusOf(id)).toBe('Success')
  })

  it('finds targets by all of their tags', async () => {
    await online('i-1', 'i-2')
    ssm.registerInstance('i-3', { app: 'other' })
    await agentOf('i-3').introduce()
    const id = await send({ Targets: [{ Key: 'tag:app', Values: ['guestbook'] }] })
    await answer('i-1', 'Success')
    expect(Object.keys(await invocations(id))).toEqual(['i-1', 'i-2'])
  })

  it('answers before it has sent anything', async () => {
    await online('i-1')
    const sent = await client.send(new SendCommandCommand({ DocumentName: 'doc', InstanceIds: ['i-1'] }))
    expect(sent.Command).toMatchObject({ Status: 'Pending', StatusDetails: 'Pending', TargetCount: 1 })
    expect(sent.$metadata.requestId).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('answers before it has resolved tags', async () => {
    await online('i-1')
    const Targets = [{ Key: 'tag:app', Values: ['guestbook'] }]
    const { Command } = await client.send(new SendCommandCommand({ DocumentName: 'doc', Targets }))
    expect(Command).toMatchObject({ Status: 'Pending', InstanceIds: [], TargetCount: 0 })
  })

  it('says that nobody carries the tags', async () => {
    const id = await send({ Targets: [{ Key: 'tag:app', Values: ['nobody'] }] })
    await expect.poll(() => statusOf(id)).toBe('NoInstancesInTag')
    expect(await invocations(id)).toEqual({})
  })

  it('keeps to MaxConcurrency, and sends to the next when one has ended', async () => {
    await online('i-1', 'i-2')
    const id = await send({ InstanceIds: ['i-1', 'i-2'], MaxConcurrency: '1' })
    expect(await invocations(id)).toEqual({ 'i-1': 'Pending', 'i-2': 'Pending' })
    await answer('i-1', 'Success')
    await answer('i-2', 'Success')
    expect(await statusOf(id)).toBe('Success')
  })

  it('terminates what is unsent once there are more errors than MaxErrors', async () => {
    await online('i-1', 'i-2')
    const id = await send({ InstanceIds: ['i-1', 'i-2'], MaxConcurrency: '1', MaxErrors: '0' })
    await answer('i-1', 'Failed', 'no space left')
    expect(await invocations(id)).toEqual({ 'i-1': 'Failed', 'i-2': 'Terminated' })
    expect(await statusOf(id)).toBe('Failed')
  })

  it.each<[string, Partial<SendCommandCommandInput>, unknown]>([
    ['an unknown instance', { InstanceIds: ['i-9'] }, InvalidInstanceId],
    ['an unknown document', { DocumentName: 'nope', InstanceIds: ['i-1'] }, InvalidDocument],
    ['another hash', { InstanceIds: ['i-1'], DocumentHash: '0'.repeat(64) }, InvalidDocument],
    ['an unknown parameter', { InstanceIds: ['i-1'], Parameters: { nope: ['1'] } }, InvalidParameters],
    [
      'a value against its pattern',
      { InstanceIds: ['i-1'], Parameters: { action: ['$(id)'] } },
      InvalidParameters,
    ],
    ['nobody to send to', {}, InvalidParameters],
  ])('refuses %s by the name that AWS gives it', async (_, input, error) => {
    await online('i-1')
    await expect(send(input)).rejects.toBeInstanceOf(error)
  })

  it.each<[string, Partial<SendCommandCommandInput>]>([
    ['51 instances', { InstanceIds: Array.from({ length: 51 }, (_, i) => `i-${i}`) }],
    ['MaxConcurrency 0', { InstanceIds: ['i-1'], MaxConcurrency: '0' }],
    ['a long comment', { InstanceIds: ['i-1'], Comment: 'x'.repeat(101) }],
    ['29 seconds', { InstanceIds: ['i-1'], TimeoutSeconds: 29 }],
  ])('refuses %s', async (_, input) => {
    await online('i-1')
    await expect(send(input)).rejects.toMatchObject({ name: 'ValidationException' })
  })
})

describe('a command', () => {
  it('shows the beginning of an output, and nothing before it has ended', async () => {
    await online('i-1')
    const id = await send({ InstanceIds: ['i-1'] })
    const ask = () => client.send(new GetCommandInvocationCommand({ CommandId: id, InstanceId: 'i-1' }))
    expect((await ask()).StandardOutputContent).toBe('')
    await answer('i-1', 'Success', `first${'x'.repeat(30_000)}`)
    expect((await ask()).StandardOutputContent).toHaveLength(24_000)
    const listed = await client.send(new ListCommandInvocationsCommand({ CommandId: id, Details: true }))
    expect(listed.CommandInvocations?.[0]?.CommandPlugins?.[0]?.Output).toMatch(/^first.{2495}$/)
  })

  it('does not exist for who asks too early', async () => {
    const asked = new GetCommandInvocationCommand({ CommandId: '0'.repeat(36), InstanceId: 'i-1' })
    await expect(client.send(asked)).rejects.toBeInstanceOf(InvocationDoesNotExist)
  })

  it('is cancelled where it waits, and asked to stop where it runs', async () => {
    await online('i-1', 'i-2')
    const id = await send({ InstanceIds: ['i-1', 'i-2'], MaxConcurrency: '1' })
    const [message] = await agentOf('i-1').messages()
    await agentOf('i-1').acknowledge(message?.MessageId ?? '')
    await client.send(new CancelCommandCommand({ CommandId: id }))
    const [cancel] = await agentOf('i-1').messages()
    expect(cancel?.Topic).toBe('aws.ssm.cancelCommand.us-east-1.i-1')
    expect(JSON.parse(cancel?.Payload ?? '')).toEqual({ CancelMessageId: message?.MessageId })
    await agentOf('i-1').reply(message?.MessageId ?? '', 'Cancelled')
    expect(await invocations(id)).toEqual({ 'i-1': 'Cancelled', 'i-2': 'Cancelled' })
    expect(await statusOf(id)).toBe('Cancelled')
  })

  it('is cancelled at once where no agent has fetched it', async () => {
    await online('i-1')
    const id = await send({ InstanceIds: ['i-1'] })
    await client.send(new CancelCommandCommand({ CommandId: id }))
    expect(await invocations(id)).toEqual({ 'i-1': 'Cancelled' })
    await send({ InstanceIds: ['i-1'] })
    expect(await agentOf('i-1').messages()).toHaveLength(1)
  })

  it('times out at the end of its total time, wherever it is, and is not delivered any more', async () => {
    await online('i-1', 'i-2')
    const id = await send({ InstanceIds: ['i-1', 'i-2'], MaxConcurrency: '1', TimeoutSeconds: 30 })
    const { Commands } = await client.send(new ListCommandsCommand({ CommandId: id }))
    const total = Number(Commands?.[0]?.ExpiresAfter) - Number(Commands?.[0]?.RequestedDateTime)
    expect(total).toBe((30 + 60) * 1000)
    await restartAtTheEndOf(id)
    await expect.poll(() => statusOf(id)).toBe('DeliveryTimedOut')
    expect(await invocations(id)).toEqual({ 'i-1': 'DeliveryTimedOut', 'i-2': 'DeliveryTimedOut' })
    await send({ InstanceIds: ['i-1'] })
    expect(await agentOf('i-1').messages()).toHaveLength(1)
  })

  it('is undeliverable to an agent that cannot read it, which is no error of the command', async () => {
    await online('i-1', 'i-2')
    const id = await send({ InstanceIds: ['i-1', 'i-2'], MaxConcurrency: '1', MaxErrors: '0' })
    const [message] = await agentOf('i-1').messages()
    await agentOf('i-1').fail(message?.MessageId ?? '')
    await answer('i-2', 'Success')
    expect(await invocations(id)).toEqual({ 'i-1': 'Undeliverable', 'i-2': 'Success' })
    expect(await statusOf(id)).toBe('Success')
  })

  it('keeps the outputs of all steps, although the last reply of several steps has none', async () => {
    await online('i-1')
    const id = await send({ InstanceIds: ['i-1'] })
    const [message] = await agentOf('i-1').messages()
    for (const payload of REPLIES_OF_TWO_STEPS) await agentOf('i-1').say(message?.MessageId ?? '', payload)
    const ask = (PluginName?: string) =>
      client.send(new GetCommandInvocationCommand({ CommandId: id, InstanceId: 'i-1', PluginName }))
    await expect(ask()).rejects.toMatchObject({ name: 'InvalidPluginName' })
    expect(await ask('two')).toMatchObject({
      Status: 'Failed',
      ResponseCode: 7,
      StandardOutputContent: 'b',
      StandardErrorContent: 'no',
      ExecutionStartDateTime: '2024-10-21T18:08:12.000Z',
    })
    const listed = await client.send(new ListCommandInvocationsCommand({ CommandId: id, Details: true }))
    expect(listed.CommandInvocations?.[0]?.CommandPlugins?.map(({ Name, Output }) => [Name, Output])).toEqual(
      [
        ['one', 'a'],
        ['two', 'b\n----------ERROR-------\nno'],
      ],
    )
  })

  it('comes again to an agent that did not acknowledge it, and counts once', async () => {
    await online('i-1')
    const id = await send({ InstanceIds: ['i-1'] })
    const [first] = await agentOf('i-1').messages()
    const again = await answer('i-1', 'Success')
    expect(again.MessageId).toBe(first?.MessageId)
    await agentOf('i-1').reply(again.MessageId, 'Failed')
    expect(await invocations(id)).toEqual({ 'i-1': 'Success' })
  })

  it('goes on after the service was started again', async () => {
    await online('i-1')
    const id = await send({ InstanceIds: ['i-1'] })
    await stop()
    await start()
    await answer('i-1', 'Success')
    expect(await statusOf(id)).toBe('Success')
  })

  it('is listed a page at a time, the newest first', async () => {
    await online('i-1')
    const ids = [await send({ InstanceIds: ['i-1'] }), await send({ InstanceIds: ['i-1'] })]
    const first = await client.send(new ListCommandsCommand({ MaxResults: 1 }))
    const second = await client.send(new ListCommandsCommand({ MaxResults: 1, NextToken: first.NextToken }))
    const found = [first, second].map(({ Commands }) => Commands?.[0]?.CommandId)
    expect(found.sort()).toEqual(ids.sort())
    expect(second.NextToken).toBeUndefined()
  })

  it('is not searched by a time that is none', async () => {
    const Filters = [{ key: 'InvokedAfter' as const, value: 'yesterday' }]
    await expect(client.send(new ListCommandsCommand({ Filters }))).rejects.toThrow(
      '"yesterday" is not a time',
    )
  })
})

describe('a target', () => {
  it('is online once its agent has spoken, and found by its tags', async () => {
    await online('i-1')
    const Filters = [{ Key: 'tag:app', Values: ['guestbook'] }]
    const { InstanceInformationList } = await client.send(new DescribeInstanceInformationCommand({ Filters }))
    expect(InstanceInformationList).toMatchObject([{ InstanceId: 'i-1', PingStatus: 'Online' }])
  })

  it('is found by its agent, also in the words of before', async () => {
    await online('i-1', 'i-2')
    const find = async (input: DescribeInstanceInformationCommandInput) =>
      (await client.send(new DescribeInstanceInformationCommand(input))).InstanceInformationList?.length
    const oneOf = (key: 'InstanceIds' | 'AgentVersion' | 'PlatformTypes', ...valueSet: string[]) =>
      find({ InstanceInformationFilterList: [{ key, valueSet }] })
    expect(await oneOf('InstanceIds', 'i-2')).toBe(1)
    expect(await oneOf('PlatformTypes', 'Linux')).toBe(2)
    expect(await oneOf('AgentVersion', '2.0')).toBe(0)
    expect(await find({ Filters: [{ Key: 'ResourceType', Values: ['ManagedInstance'] }] })).toBe(0)
    await expect(find({ Filters: [{ Key: 'Shoe', Values: ['9'] }] })).rejects.toThrow('no filter "Shoe"')
  })

  it('cannot take what is meant for another', async () => {
    await online('i-1', 'i-2')
    await send({ InstanceIds: ['i-2'] })
    await expect(agentOf('i-1').messages('i-2')).rejects.toThrow('AccessDenied')
  })

  it('is told the associations of its tags', async () => {
    await online('i-1')
    const targets = [{ Key: 'tag:app', Values: ['guestbook'] }]
    ssm.putAssociation({
      documentName: 'doc',
      associationName: 'a',
      parameters: { action: ['catchup'] },
      targets,
    })
    ssm.putAssociation({
      documentName: 'doc',
      parameters: {},
      targets: [{ Key: 'tag:app', Values: ['other'] }],
    })
    const { Associations } = await agentOf('i-1').associations()
    expect(Associations).toMatchObject([
      { Name: 'doc', DocumentVersion: '1', Parameters: { action: ['catchup'] } },
    ])
  })

  it('has an association pending until it has run, and again with another document', async () => {
    await online('i-1')
    const targets = [{ Key: 'tag:app', Values: ['guestbook'] }]
    ssm.putAssociation({ documentName: 'doc', associationName: 'a', parameters: {}, targets })
    const ask = async () => (await agentOf('i-1').associations()).Associations[0]
    const AssociationId = (await ask())?.AssociationId ?? ''
    expect((await ask())?.DetailedStatus).toBe('Pending')
    await agentOf('i-1').noteAssociation(AssociationId, 'Success', 1_700_000_000)
    expect(await ask()).toMatchObject({ DetailedStatus: 'Success', LastExecutionDate: 1_700_000_000 })
    ssm.putDocument({ name: 'doc', content: { ...DOCUMENT, description: 'other' } })
    const changed = await ask()
    expect(changed?.DetailedStatus).toBe('Pending')
    expect(changed?.LastExecutionDate).toBeUndefined()
  })
})

describe('a document', () => {
  it('gets a new version only for other content', async () => {
    ssm.putDocument({ name: 'doc', content: DOCUMENT, versionName: 'one' })
    ssm.putDocument({ name: 'doc', content: { ...DOCUMENT, description: 'other' }, versionName: 'two' })
    const { Document } = await client.send(new DescribeDocumentCommand({ Name: 'doc' }))
    expect(Document).toMatchObject({ DocumentVersion: '2', VersionName: 'two', HashType: 'Sha256' })
  })

  it('gets no version whose name another one has, as on AWS', () => {
    ssm.putDocument({ name: 'doc', content: { ...DOCUMENT, description: 'other' }, versionName: 'two' })
    const again = { name: 'doc', content: DOCUMENT, versionName: 'one' }
    expect(() => ssm.putDocument(again)).toThrow('already been used')
  })
})
