import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  CheckpointDurableExecutionCommand,
  GetDurableExecutionCommand,
  InvokeCommand,
  ListDurableExecutionsByFunctionCommand,
  StopDurableExecutionCommand,
} from '@aws-sdk/client-lambda'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FunctionConfig } from '../../local/lambda/function-config.ts'
import { processStartTime } from '../../local/process-record.ts'
import { codeFunction, forget, type LocalLambda, startLocalLambda } from './lambda-fixture.ts'

const FIXTURE = new URL('durable-handler.ts', import.meta.url).pathname

let config: FunctionConfig
let lambda: LocalLambda

beforeAll(async () => {
  config = await bundledFunction()
  lambda = await startLocalLambda([config, { ...config, name: 'brief', durable: limits(2) }])
})
afterAll(async () => {
  await lambda.stop()
  forget(lambda.directory, config.directory)
})

const limits = (executionTimeoutSeconds: number) => ({ executionTimeoutSeconds, retentionDays: 1 })

async function bundledFunction(): Promise<FunctionConfig> {
  const directory = mkdtempSync(join(tmpdir(), 'durable-'))
  const outfile = join(directory, 'index.js')
  await build({
    entryPoints: [FIXTURE],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    minify: true,
  })
  return {
    ...codeFunction('flow', ''),
    directory,
    codeHash: `flow-${directory.slice(-6)}`,
    durable: limits(600),
  }
}

async function run(payload: object, name?: string, functionName = 'flow:live') {
  const started = await start(payload, name, functionName)
  return ended(started.DurableExecutionArn ?? '')
}

function start(payload: object, name?: string, FunctionName = 'flow:live') {
  return lambda.client.send(
    new InvokeCommand({
      FunctionName,
      InvocationType: 'Event',
      Payload: JSON.stringify(payload),
      ...(name && { DurableExecutionName: name }),
    }),
  )
}

async function ended(arn: string, local = lambda) {
  for (;;) {
    const command = new GetDurableExecutionCommand({ DurableExecutionArn: arn })
    const execution = await local.client.send(command)
    if (execution.Status !== 'RUNNING') return execution
    await setTimeout(20)
  }
}

const resultOf = ({ Result }: { Result?: string | undefined }) => JSON.parse(Result ?? 'null')

describe.concurrent('a durable execution', () => {
  test('goes through steps, waits, polls and retries to its result', async () => {
    const execution = await run({ name: 'all', whole: true })
    expect(execution).toMatchObject({
      Status: 'SUCCEEDED',
      Version: '1',
      InputPayload: '{"name":"all","whole":true}',
    })
    expect(resultOf(execution)).toEqual({ greeting: 'hello all', polls: 3, attempts: 2, parallel: [1, 2] })
  })

  test('waits the seconds it was told', async () => {
    const execution = await run({ wait: 2 })
    const took = Number(execution.EndTimestamp) - Number(execution.StartTimestamp)
    expect(took).toBeGreaterThanOrEqual(2000)
  })

  test('fails with the error of its handler', async () => {
    const execution = await run({ fail: 'no luck' })
    expect(execution.Status).toBe('FAILED')
    expect(execution.Error?.ErrorMessage).toBe('no luck')
  })

  test('is invoked again after its process died, and keeps what it had done', async () => {
    const execution = await run({ crash: true })
    const { made, madeBy, endedBy } = resultOf(execution)
    expect(made).toBe(1)
    expect(endedBy).not.toBe(madeBy)
  })

  test('keeps a result that is too large to be returned', async () => {
    const execution = await run({ large: 6_500_000 })
    expect(execution.Status).toBe('SUCCEEDED')
    expect(resultOf(execution)).toHaveLength(6_500_000)
  })

  test('ends at its execution timeout', async () => {
    const execution = await run({ wait: 60 }, undefined, 'brief:live')
    expect(execution.Status).toBe('TIMED_OUT')
  })

  test('can be stopped', async () => {
    const { DurableExecutionArn = '' } = await start({ wait: 60 })
    const error = { ErrorType: 'Operator', ErrorMessage: 'enough' }
    await lambda.client.send(new StopDurableExecutionCommand({ DurableExecutionArn, Error: error }))
    expect(await ended(DurableExecutionArn)).toMatchObject({ Status: 'STOPPED', Error: error })
  })

  test('says on the event bus when it begins and how it ends', async () => {
    const { DurableExecutionArn } = await run({ name: 'told' }, 'told')
    const told = lambda.events.filter(({ resources }) => resources[0] === DurableExecutionArn)
    expect(told.map(({ detail }) => detail.status)).toEqual(['RUNNING', 'SUCCEEDED'])
    expect(told[1]).toMatchObject({
      source: 'aws.lambda',
      'detail-type': 'Durable Execution Status Change',
      detail: {
        durableExecutionName: 'told',
        functionArn: 'arn:aws:lambda:us-east-1:123456789012:function:flow:1',
        endTimestamp: expect.any(String),
      },
    })
  })
})

describe('starting a durable execution', () => {
  test('again by the same name and payload finds the first one', async () => {
    const first = await run({ name: 'once' }, 'once')
    const second = await start({ name: 'once' }, 'once')
    expect(second.DurableExecutionArn).toBe(first.DurableExecutionArn)
  })

  test('by a used name with another payload is refused', async () => {
    await start({ name: 'mine' }, 'mine')
    await expect(start({ name: 'yours' }, 'mine')).rejects.toMatchObject({
      name: 'DurableExecutionAlreadyStartedException',
      $metadata: { httpStatusCode: 409 },
    })
  })

  test('without a version or an alias is refused', async () => {
    await expect(start({}, undefined, 'flow')).rejects.toMatchObject({
      name: 'InvalidParameterValueException',
      message: 'You cannot invoke a durable function using an unqualified ARN.',
    })
  })

  test('and waiting for the result gives the result', async () => {
    const command = new InvokeCommand({ FunctionName: 'flow:live', Payload: '{"name":"sync"}' })
    const { Payload, DurableExecutionArn } = await lambda.client.send(command)
    expect(DurableExecutionArn).toContain(':function:flow:1/durable-execution/')
    expect(JSON.parse(Payload?.transformToString() ?? '')).toMatchObject({ greeting: 'hello sync' })
  })

  test('can be asked for by name and status', async () => {
    const { DurableExecutionArn } = await run({ name: 'listed' }, 'listed')
    const list = (Statuses: 'RUNNING' | 'SUCCEEDED') =>
      lambda.client.send(
        new ListDurableExecutionsByFunctionCommand({
          FunctionName: 'flow',
          Qualifier: 'live',
          DurableExecutionName: 'listed',
          Statuses: [Statuses],
        }),
      )
    expect((await list('SUCCEEDED')).DurableExecutions).toMatchObject([{ DurableExecutionArn }])
    expect((await list('RUNNING')).DurableExecutions).toEqual([])
  })
})

describe('a checkpoint', () => {
  test('with a stale token is refused in the words of the service', async () => {
    const { DurableExecutionArn } = await start({ wait: 60 })
    const command = new CheckpointDurableExecutionCommand({
      DurableExecutionArn,
      CheckpointToken: 'stale',
      Updates: [],
    })
    await expect(lambda.client.send(command)).rejects.toMatchObject({
      name: 'InvalidParameterValueException',
      message: 'Invalid checkpoint token',
    })
    await lambda.client.send(new StopDurableExecutionCommand({ DurableExecutionArn }))
  })
})

describe('a local cloud that is killed', () => {
  test('goes on with its executions when it starts again, on the version that they began with', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'killed-'))
    const arn = await startAndKill(directory)
    await functionsEnd(directory)
    const newer = { ...config, codeHash: `${config.codeHash}-newer` }
    const again = await startLocalLambda([newer], directory)
    try {
      const execution = await ended(arn, again)
      expect(execution).toMatchObject({ Status: 'SUCCEEDED', Version: '1' })
      expect(resultOf(execution)).toMatchObject({ greeting: 'hello survivor' })
    } finally {
      await again.stop()
      forget(directory)
    }
  })
})

/** Runs a local Lambda in a process of its own and kills it while a step of an execution runs. */
async function startAndKill(directory: string): Promise<string> {
  const child = spawn(process.execPath, [new URL('durable-victim.ts', import.meta.url).pathname], {
    env: { ...process.env, VICTIM: JSON.stringify({ config, directory }) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output] = await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const [file = ''] = readdirSync(join(directory, 'executions'))
  expect(readFileSync(join(directory, 'executions', file), 'utf8')).toContain('"status": "RUNNING"')
  return String(output).trim()
}

/** A function ends by itself when the local cloud that it belongs to is gone. */
async function functionsEnd(directory: string): Promise<void> {
  for (const pid of readdirSync(join(directory, 'processes'))) {
    while (processStartTime(Number(pid))) await setTimeout(10)
  }
}
