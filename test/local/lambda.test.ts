import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GetFunctionCommand, InvokeCommand } from '@aws-sdk/client-lambda'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { codeFunction, type LocalLambda, startLocalLambda } from './lambda-fixture.ts'

const ECHO = `
  console.log('cold')
  let calls = 0
  export const handler = async (event, context) => {
    calls++
    if (event.fail) throw new TypeError('told to fail')
    if (event.hang) await new Promise((resolve) => setTimeout(resolve, 60000))
    if (event.exit) process.exit(3)
    const { awsRequestId, invokedFunctionArn } = context
    const left = context.getRemainingTimeInMillis()
    return { event, calls, pid: process.pid, awsRequestId, invokedFunctionArn, left, environment: process.env }
  }
`

/** Ends only once two processes of it run at the same time. */
const MEETING = `
  import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
  export const handler = async ({ place }) => {
    mkdirSync(place, { recursive: true })
    writeFileSync(place + '/' + process.pid, '')
    while (readdirSync(place).length < 2) await new Promise((resolve) => setTimeout(resolve, 20))
    return { pid: process.pid }
  }
`

let lambda: LocalLambda

beforeAll(async () => {
  lambda = await startLocalLambda([
    codeFunction('echo', ECHO, { environment: { GREETING: 'hello' }, timeoutSeconds: 1 }),
    codeFunction('meeting', MEETING, { timeoutSeconds: 30 }),
    codeFunction('broken', `import 'no-such-module'\nexport const handler = () => 1`),
    codeFunction('nameless', 'export const other = () => 1'),
  ])
})
afterAll(() => lambda.stop())

async function invoke(FunctionName: string, payload: unknown = {}, Qualifier?: string) {
  const answer = await lambda.client.send(
    new InvokeCommand({ FunctionName, Payload: JSON.stringify(payload), ...(Qualifier && { Qualifier }) }),
  )
  const text = answer.Payload?.transformToString() ?? ''
  return { ...answer, result: text && JSON.parse(text) }
}

describe('the local Lambda', () => {
  test('runs the handler in a process with the function environment', async () => {
    const { result, FunctionError } = await invoke('echo', { a: 1 })
    expect(FunctionError).toBeUndefined()
    expect(result.event).toEqual({ a: 1 })
    expect(result.pid).not.toBe(process.pid)
    expect(result.environment).toMatchObject({
      GREETING: 'hello',
      AWS_LAMBDA_FUNCTION_NAME: 'echo',
      AWS_REGION: 'us-east-1',
    })
    expect(result.environment.AWS_SESSION_TOKEN).toBeTruthy()
    expect(result.left).toBeLessThanOrEqual(1000)
  })

  test('gives the function nothing of its own environment but the path', async () => {
    const { result } = await invoke('echo')
    expect(result.environment).not.toHaveProperty('HOME')
    expect(result.environment).not.toHaveProperty('VITEST')
  })

  test('keeps a process warm', async () => {
    const first = await invoke('echo')
    const second = await invoke('echo')
    expect(second.result.pid).toBe(first.result.pid)
    expect(second.result.calls).toBe(first.result.calls + 1)
  })

  test('uses several processes for invocations that overlap', async () => {
    const place = join(lambda.directory, 'meeting')
    const all = await Promise.all([invoke('meeting', { place }), invoke('meeting', { place })])
    expect(new Set(all.map(({ result }) => result.pid)).size).toBe(2)
  })

  test.each([
    ['echo', undefined, '$LATEST'],
    ['echo', 'live', '1'],
    ['echo:live', undefined, '1'],
    ['function:echo', undefined, '$LATEST'],
    ['123456789012:function:echo:1', undefined, '1'],
    ['arn:aws:lambda:us-east-1:123456789012:function:echo', 'live', '1'],
    ['arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST', undefined, '$LATEST'],
  ])('finds the function by "%s" and the qualifier %s', async (name, qualifier, version) => {
    const { ExecutedVersion, result } = await invoke(name, {}, qualifier)
    expect(ExecutedVersion).toBe(version)
    expect(result.environment.AWS_LAMBDA_FUNCTION_VERSION).toBe(version)
  })

  test('names a function that is not there as AWS does', async () => {
    await expect(invoke('nobody')).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: 'Function not found: arn:aws:lambda:us-east-1:123456789012:function:nobody',
    })
  })

  test('tells of an error that the handler throws', async () => {
    const { FunctionError, result, StatusCode } = await invoke('echo', { fail: true })
    expect({ FunctionError, StatusCode }).toEqual({ FunctionError: 'Unhandled', StatusCode: 200 })
    expect(result).toMatchObject({ errorType: 'TypeError', errorMessage: 'told to fail' })
  })

  test('kills a function at its timeout and starts the next one cold', async () => {
    const { FunctionError, result } = await invoke('echo', { hang: true })
    expect(FunctionError).toBe('Unhandled')
    expect(result.errorMessage).toMatch(/Task timed out after 1.00 seconds/)
    expect((await invoke('echo')).FunctionError).toBeUndefined()
  })

  test('tells of a function that exits', async () => {
    const { result } = await invoke('echo', { exit: true })
    expect(result).toMatchObject({
      errorType: 'Runtime.ExitError',
      errorMessage: expect.stringMatching(/Runtime exited with error: exit status 3$/),
    })
  })

  test.each([
    ['broken', 'Runtime.ImportModuleError'],
    ['nameless', 'Runtime.HandlerNotFound'],
  ])('tells why "%s" cannot be loaded', async (name, errorType) => {
    const { FunctionError, result } = await invoke(name)
    expect(FunctionError).toBe('Unhandled')
    expect(result.errorType).toBe(errorType)
  })

  test('answers an event invocation at once and a dry run with nothing', async () => {
    const event = new InvokeCommand({ FunctionName: 'echo', InvocationType: 'Event', Payload: '{}' })
    expect((await lambda.client.send(event)).StatusCode).toBe(202)
    const dryRun = new InvokeCommand({ FunctionName: 'echo', InvocationType: 'DryRun' })
    expect((await lambda.client.send(dryRun)).StatusCode).toBe(204)
  })

  test('refuses a payload that is no JSON', async () => {
    const command = new InvokeCommand({ FunctionName: 'echo', Payload: '{"a":' })
    await expect(lambda.client.send(command)).rejects.toMatchObject({
      name: 'InvalidRequestContentException',
    })
  })

  test('writes what a function prints into its log file', async () => {
    await invoke('echo')
    expect(readFileSync(join(lambda.directory, 'logs', 'echo.log'), 'utf8')).toContain('cold')
  })

  test('describes a function', async () => {
    const { Configuration } = await lambda.client.send(new GetFunctionCommand({ FunctionName: 'echo:live' }))
    expect(Configuration).toMatchObject({ FunctionName: 'echo', Version: '1', Timeout: 1 })
  })
})
