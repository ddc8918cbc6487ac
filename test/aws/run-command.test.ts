import { ListCommandsCommand, SSMClient } from '@aws-sdk/client-ssm'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type RunCommand, runCommand, type SendOptions } from '../../lib/aws/run-command.ts'
import { PARAMETERS } from '../../lib/release/command.ts'
import { openCredentialStore } from '../../local/credentials.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { openSsm, type Ssm } from '../../local/ssm/ssm.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { agentClient } from '../local/agent-client.ts'

const REGION = 'us-east-1'
const FLEET = Array.from({ length: 51 }, (_, index) => `i-${String(index).padStart(17, '0')}`)
const DOCUMENT = {
  schemaVersion: '2.2',
  parameters: Object.fromEntries(
    Object.entries(PARAMETERS).map(([name, { default: value }]) => [
      name,
      { type: 'String', default: value },
    ]),
  ),
  mainSteps: [
    { action: 'aws:runShellScript', name: 'target', inputs: { timeoutSeconds: '60', runCommand: ['id'] } },
  ],
}

let client: SSMClient
let ssm: Ssm
let commands: RunCommand
let phase: SendOptions

beforeEach(async () => {
  const directory = temporaryFolder()
  const credentials = openCredentialStore(directory)
  ssm = openSsm({ directory, region: REGION, endpointUrl: () => endpoint.url })
  const endpoint = await startEndpoint({ port: 0, credentials, services: ssm.services })
  client = new SSMClient({
    endpoint: endpoint.url,
    region: REGION,
    credentials: credentials.issue('user/test'),
  })
  onTestFinished(async () => {
    client.destroy()
    ssm.close()
    await endpoint.close()
  })
  ssm.putDocument({ name: 'doc', content: DOCUMENT, versionName: 'one' })
  for (const id of FLEET) {
    ssm.registerInstance(id, { app: 'guestbook' })
    await agentClient(endpoint.url, id, credentials.issue(`role/${id}`, 3600)).introduce()
  }
  commands = runCommand(client, client)
  const digests = { bundle: 'b'.repeat(64), code: 'c'.repeat(64) }
  const rollout = '20260101t000000z-00000000'
  phase = {
    document: await commands.pinDocument('doc'),
    targets: FLEET,
    command: { action: 'prepare', release: 'a'.repeat(12), digests, token: 1, rollout },
    comment: `${rollout} prepare`,
    since: new Date().toISOString(),
    maxConcurrency: '100%',
    deliverySeconds: 60,
  }
})

const sentSoFar = async () => (await client.send(new ListCommandsCommand({}))).Commands?.length

describe('a phase that is sent', () => {
  it('goes out in calls of 50, and never again when its answer was lost', async () => {
    const first = await commands.send(phase)
    expect(first.commandIds).toHaveLength(2)
    expect(await commands.send(phase)).toEqual(first)
    expect(await sentSoFar()).toBe(2)
  })

  it('is completed when it was cut short, though other commands lie between', async () => {
    const {
      commandIds: [first],
    } = await commands.send({ ...phase, targets: FLEET.slice(0, 50) })
    const {
      commandIds: [other],
    } = await commands.send({ ...phase, targets: FLEET.slice(0, 1), comment: 'another rollout' })
    const { commandIds: ids } = await commands.send(phase)
    expect(ids[0]).toBe(first)
    expect(ids).not.toContain(other)
    expect(await sentSoFar()).toBe(3)
  })

  it('reaches everybody else when one id is refused, each once, also when it is sent again', async () => {
    const gone = FLEET[17] ?? ''
    ssm.terminateInstance(gone)
    const first = await commands.send(phase)
    expect(first.refused).toEqual([gone])
    const reached = (await commands.invocations(first.commandIds)).map(({ target }) => target)
    expect(reached.sort()).toEqual(FLEET.filter((id) => id !== gone))
    ssm.registerInstance(gone, { app: 'guestbook' })
    expect(await commands.send(phase)).toEqual(first)
  })
})
