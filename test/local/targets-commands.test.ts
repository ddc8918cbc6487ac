import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CancelCommandCommand, ListCommandInvocationsCommand } from '@aws-sdk/client-ssm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  documentOf,
  scriptDocument,
  startTargetCloud,
  TARGET,
  type TargetCloud,
  until,
} from './target-cloud.ts'

let cloud: TargetCloud

beforeAll(async () => {
  cloud = await startTargetCloud('none')
})

afterAll(() => cloud.stop())

test('is online once its agent has introduced itself', async () => {
  await until(() => cloud.ssm.isOnline(TARGET))
})

test('runs a document with its parameters and reports its output', async () => {
  const parameters = { word: { type: 'String', default: 'x', interpolationType: 'ENV_VAR' } }
  const steps = scriptDocument('echo "$SSM_word $SSM_COMMAND_ID"; echo progress >&2').mainSteps
  cloud.ssm.putDocument({ name: 'with-parameters', content: documentOf(steps, parameters) })
  const commandId = await cloud.send('with-parameters', { word: ["$(id) 'a'"] })
  expect(await cloud.invocation(commandId)).toMatchObject({
    Status: 'Success',
    ResponseCode: 0,
    StandardOutputContent: `$(id) 'a' ${commandId}\n`,
    StandardErrorContent: 'progress\n',
  })
})

test('reports the exit code of a failure', async () => {
  expect(await cloud.run('echo so >&2; exit 3')).toMatchObject({
    Status: 'Failed',
    ResponseCode: 3,
    StandardErrorContent: 'so\n\nfailed to run commands: exit status 3',
  })
})

test('keeps the beginning of much output', async () => {
  const { CommandId, StandardOutputContent = '' } = await cloud.run('echo first; yes | head -c 60000')
  expect(StandardOutputContent).toHaveLength(24_000)
  expect(StandardOutputContent).toMatch(/^first\ny\n.*--output truncated--$/s)
  const list = await cloud.client.send(new ListCommandInvocationsCommand({ CommandId, Details: true }))
  const output = list.CommandInvocations?.[0]?.CommandPlugins?.[0]?.Output ?? ''
  expect(output.length).toBeLessThanOrEqual(2500)
  expect(output).toMatch(/^first\n.*---Output truncated---$/s)
})

test('reports each of several steps', async () => {
  const step = (name: string, line: string) => ({
    action: 'aws:runShellScript',
    name,
    inputs: { runCommand: [line] },
  })
  cloud.ssm.putDocument({
    name: 'two-steps',
    content: documentOf([step('one', 'echo 1'), step('two', 'exit 2')]),
  })
  const CommandId = await cloud.send('two-steps')
  await until(async () => {
    const list = await cloud.client.send(new ListCommandInvocationsCommand({ CommandId, Details: true }))
    return list.CommandInvocations?.[0]?.Status === 'Failed'
  })
  const list = await cloud.client.send(new ListCommandInvocationsCommand({ CommandId, Details: true }))
  expect(list.CommandInvocations?.[0]?.CommandPlugins).toMatchObject([
    { Name: 'one', Status: 'Success', Output: '1\n' },
    { Name: 'two', Status: 'Failed', ResponseCode: 2 },
  ])
})

test('runs its steps as an ordinary user', async () => {
  expect((await cloud.run('id -u')).StandardOutputContent).not.toBe('0\n')
})

test('returns at once when what goes on in the background holds no pipe', async () => {
  const { Status, StandardOutputContent } = await cloud.run(
    'nohup sleep 61 >/dev/null 2>&1 </dev/null & echo $!',
  )
  expect(Status).toBe('Success')
  expect(isAlive(Number(StandardOutputContent))).toBe(true)
})

describe('at the end of its time', () => {
  const inputs = { timeoutSeconds: '5' }

  test.concurrent('a command is killed with its whole group', async () => {
    const { Status, ResponseCode, StandardOutputContent } = await cloud.run(
      'echo $$; sleep 62 & wait',
      inputs,
    )
    expect({ Status, ResponseCode }).toEqual({ Status: 'TimedOut', ResponseCode: 137 })
    await until(() => !isAlive(Number(StandardOutputContent)))
  })

  test.concurrent('so is one that had ended but for a child that inherited its pipes', async () => {
    const { Status, StandardOutputContent } = await cloud.run('sleep 63 & echo $!', inputs)
    expect(Status).toBe('TimedOut')
    await until(() => !isAlive(Number(StandardOutputContent)))
  })

  test.concurrent('a child that left the group survives, and the command fails', async () => {
    const orphaned = await cloud.run('setsid sleep 65 & echo $!', inputs)
    expect(orphaned).toMatchObject({
      Status: 'Failed',
      ResponseCode: 1,
      StandardErrorContent: 'failed to run commands: no such process',
    })
    expect(isAlive(Number(orphaned.StandardOutputContent))).toBe(true)
  })

  test.concurrent('a command that is cancelled is killed', async () => {
    cloud.ssm.putDocument({
      name: 'cancelled',
      content: scriptDocument('echo >"$PYBUNDLE_ROOT/run/begun"; sleep 66'),
    })
    const CommandId = await cloud.send('cancelled')
    await until(() => existsSync(join(cloud.root, 'run/begun')))
    await cloud.client.send(new CancelCommandCommand({ CommandId }))
    const { Status, ResponseCode } = await cloud.invocation(CommandId)
    expect({ Status, ResponseCode }).toEqual({ Status: 'Cancelled', ResponseCode: 137 })
  })
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
