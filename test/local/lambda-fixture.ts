import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LambdaClient } from '@aws-sdk/client-lambda'
import { openCredentialStore } from '../../local/credentials.ts'
import type { BusEvent } from '../../local/events/event-bus.ts'
import { startEndpoint } from '../../local/http/endpoint.ts'
import type { FunctionConfig } from '../../local/lambda/function-config.ts'
import { openLambda } from '../../local/lambda/lambda.ts'
import { openProcessRecord } from '../../local/process-record.ts'

export interface LocalLambda {
  client: LambdaClient
  events: BusEvent[]
  directory: string
  stop(): Promise<void>
}

/** A function whose code is this text. */
export function codeFunction(name: string, code: string, more: Partial<FunctionConfig> = {}): FunctionConfig {
  const directory = mkdtempSync(join(tmpdir(), 'function-'))
  writeFileSync(join(directory, 'index.mjs'), code)
  return {
    name,
    handler: 'index.handler',
    directory,
    codeHash: directory.slice(-6),
    environment: {},
    timeoutSeconds: 10,
    memoryMb: 128,
    role: 'test-role',
    ...more,
  }
}

/** The local Lambda alone, behind a real endpoint; started again in the same directory it goes on. */
export async function startLocalLambda(
  functions: FunctionConfig[],
  directory = mkdtempSync(join(tmpdir(), 'lambda-')),
): Promise<LocalLambda> {
  const credentials = openCredentialStore(directory)
  const events: BusEvent[] = []
  mkdirSync(directory, { recursive: true })
  let url = ''
  const lambda = openLambda({
    directory,
    region: 'us-east-1',
    account: '123456789012',
    functions,
    aliases: functions.map(({ name }) => ({ functionName: name, name: 'live' })),
    credentials,
    processes: openProcessRecord(join(directory, 'processes')),
    endpointUrl: () => url,
    putEvent: (event) => events.push(event),
  })
  const endpoint = await startEndpoint({ port: 0, credentials, services: { lambda: lambda.service } })
  url = endpoint.url
  lambda.resume()
  const client = new LambdaClient({
    endpoint: url,
    region: 'us-east-1',
    credentials: credentials.issue('tester'),
    maxAttempts: 1,
  })
  return {
    client,
    events,
    directory,
    async stop() {
      client.destroy()
      await lambda.close()
      await endpoint.close()
    },
  }
}

export function forget(...directories: string[]): void {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
}
