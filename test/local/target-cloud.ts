import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import {
  GetCommandInvocationCommand,
  type GetCommandInvocationCommandOutput,
  SendCommandCommand,
  SSMClient,
} from '@aws-sdk/client-ssm'
import { openCredentialStore } from '../../local/credentials.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import { openProcessRecord } from '../../local/process-record.ts'
import { openSsm, type Ssm } from '../../local/ssm/ssm.ts'
import type { SandboxChoice } from '../../local/targets/sandbox.ts'
import { startTarget, type Target } from '../../local/targets/target.ts'

export const TARGET = 'i-0123456789abcdef0'

/** One target of the local Run Command, told what to do by the unmodified SDK. */
export interface TargetCloud {
  ssm: Ssm
  client: SSMClient
  target: Target
  directory: string
  /** The folder of the target that its own `/` is. */
  root: string
  startAgain(): Promise<void>
  send(document: string, parameters?: Record<string, string[]>): Promise<string>
  /** Once it has ended. */
  invocation(commandId: string): Promise<GetCommandInvocationCommandOutput>
  /** Sends a script in a document of its own and waits for its end. */
  run(script: string | string[], more?: object): Promise<GetCommandInvocationCommandOutput>
  stop(): Promise<void>
}

export async function startTargetCloud(sandbox: SandboxChoice): Promise<TargetCloud> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'target-')))
  const credentials = openCredentialStore(directory)
  let url = ''
  const ssm = openSsm({ directory: join(directory, 'ssm'), region: 'us-east-1', endpointUrl: () => url })
  const endpoint = await startEndpoint({ port: 0, credentials, services: ssm.services })
  url = endpoint.url
  const client = new SSMClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: credentials.issue('user/tester'),
  })
  ssm.registerInstance(TARGET, { app: 'guestbook' })
  const listen = { host: '127.0.0.1', port: await freePort() }
  const start = () =>
    startTarget({
      instanceId: TARGET,
      directory: join(directory, TARGET),
      endpointUrl: url,
      region: 'us-east-1',
      credentials,
      app: 'guestbook',
      base: '/opt/pybundle',
      envFile: '/opt/pybundle/guestbook/shared/.env',
      env: { GREETING: 'hello' },
      listen,
      sandbox,
      processes: openProcessRecord(join(directory, 'processes')),
    })
  let documents = 0

  const cloud: TargetCloud = {
    ssm,
    client,
    target: await start(),
    directory,
    root: join(directory, TARGET, 'root'),
    async startAgain() {
      cloud.target = await start()
    },
    async send(document, parameters) {
      await until(() => ssm.isOnline(TARGET))
      const sent = new SendCommandCommand({
        DocumentName: document,
        InstanceIds: [TARGET],
        Parameters: parameters,
      })
      return (await client.send(sent)).Command?.CommandId ?? ''
    },
    async invocation(CommandId) {
      for (;;) {
        const query = new GetCommandInvocationCommand({ CommandId, InstanceId: TARGET })
        const found = await client.send(query)
        if (!/Pending|InProgress|Cancelling|Delayed/.test(found.Status ?? '')) return found
        await delay(50)
      }
    },
    async run(script, more = {}) {
      documents += 1
      ssm.putDocument({ name: `test-${documents}`, content: scriptDocument(script, more) })
      return cloud.invocation(await cloud.send(`test-${documents}`))
    },
    async stop() {
      await cloud.target.stop()
      client.destroy()
      ssm.close()
      await endpoint.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
  return cloud
}

export function scriptDocument(script: string | string[], inputs: object = {}) {
  return documentOf([
    { action: 'aws:runShellScript', name: 'script', inputs: { runCommand: [script].flat(), ...inputs } },
  ])
}

export function documentOf(mainSteps: object[], parameters: object = {}) {
  return { schemaVersion: '2.2', parameters, mainSteps }
}

export async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await delay(20)
}

export function bubblewrapWorks(): boolean {
  try {
    execFileSync('bwrap', [
      '--ro-bind',
      '/',
      '/',
      '--unshare-user',
      '--unshare-pid',
      '--proc',
      '/proc',
      'true',
    ])
    return true
  } catch {
    return false
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
