import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DocumentResult, runDocument } from '../../local/targets/run-document.ts'
import { truncateOutput } from '../../local/targets/truncate-output.ts'
import { documentOf } from './target-cloud.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "it's a document-"))
})

afterEach(() => rmSync(folder, { recursive: true }))

test('runs the lines as one script, of which the last command tells the exit code', async () => {
  const { status, steps } = await runScript(['false', 'echo done'])
  expect(status).toBe('Success')
  expect(steps).toMatchObject([{ code: 0, status: 'Success', standardOutput: 'done\n', standardError: '' }])
  expect(readFileSync(join(folder, 'script/_script.sh'), 'utf8')).toBe('false\necho done\n')
  expect(statSync(join(folder, 'script/_script.sh')).mode & 0o777).toBe(0o700)
})

test('heeds the interpreter that the first line names', async () => {
  const { steps } = await runScript(['#!/usr/bin/env python3', 'print(6 * 7)'])
  expect(steps[0]?.standardOutput).toBe('42\n')
})

test('gives the script no HOME, nothing to read, and what the agent has besides', async () => {
  const { steps } = await runScript(['echo "[$HOME][$LANG]$(cat)"'])
  expect(steps[0]?.standardOutput).toBe('[][C.UTF-8]\n')
})

test('says of a failure what the agent says', async () => {
  const { status, steps } = await runScript(['echo no >&2; exit 7'])
  expect(status).toBe('Failed')
  expect(steps[0]).toMatchObject({ code: 7, standardError: 'no\n\nfailed to run commands: exit status 7' })
})

test.each(['exit 137', 'kill -9 $$'])('takes for a timeout: %s', async (line) => {
  expect((await runScript([line])).steps[0]).toMatchObject({ status: 'TimedOut', code: 137 })
})

test('fails in a working directory that is not there', async () => {
  const { steps } = await runScript(['true'], { workingDirectory: '/nowhere' })
  expect(steps[0]).toMatchObject({ status: 'Failed', code: 1 })
  expect(steps[0]?.standardError).toContain('ENOENT')
})

test('keeps the whole output beside the script', async () => {
  await runScript(['yes | head -c 300000'])
  expect(statSync(join(folder, 'script/stdout')).size).toBe(300_000)
})

test('goes on after a failed step', async () => {
  expect(await statuses([step('one', 'exit 7'), step('two', 'true')])).toEqual([
    'Failed',
    'Failed',
    'Success',
  ])
})

test.each([
  [
    'a failed step that says so',
    [step('one', 'exit 7', { onFailure: 'exit' })],
    ['Failed', 'Failed', 'Skipped'],
  ],
  [
    'a failed step that counts as good',
    [step('one', 'exit 7', { onFailure: 'successAndExit' })],
    ['Success', 'Success', 'Skipped'],
  ],
  [
    'a good step that says so',
    [step('one', 'true', { onSuccess: 'exit' })],
    ['Success', 'Success', 'Skipped'],
  ],
  ['exit code 168', [step('one', 'exit 168')], ['Success', 'Success', 'Skipped']],
  ['exit code 169', [step('one', 'exit 169')], ['Failed', 'Failed', 'Skipped']],
])('ends the document at %s', async (_, steps, expected) => {
  expect(await statuses([...steps, step('last', 'true')])).toEqual(expected)
})

test('runs the last step in any case when it is the one for the end', async () => {
  const steps = [step('one', 'exit 169'), step('end', 'true', { finallyStep: true })]
  expect(await statuses(steps)).toEqual(['Failed', 'Failed', 'Success'])
})

test.each([
  [['platformType', 'Linux'], 'Success'],
  [['Windows', 'platformType'], 'Skipped'],
  [['{{ size }}', 'small'], 'Success'],
  [['{{ size }}', 'large'], 'Skipped'],
  [['same', 'same'], 'Failed'],
  [['no', 'parameter'], 'Failed'],
])('with the precondition StringEquals %j a step is %s', async (terms, status) => {
  const guarded = { ...step('one', 'true'), precondition: { StringEquals: terms } }
  const { steps } = await run(documentOf([guarded], { size: { type: 'String', default: 'small' } }))
  expect(steps[0]?.status).toBe(status)
})

test('puts parameters into the text as they are, once', async () => {
  const parameters = {
    word: { type: 'String', default: 'default' },
    other: { type: 'String' },
    list: { type: 'StringList', default: ['l1', 'l 2'] },
  }
  const text = "echo '{{ word }} {{other}} {{ list }} {{ missing }} {{ not_valid }}'"
  const { steps } = await run(documentOf([step('one', text)], parameters), {
    other: '{{ word }} $$',
    not_valid: 'x',
  })
  expect(steps[0]?.standardOutput).toBe('default {{ word }} $ ["l1","l 2"] {{ missing }} {{ not_valid }}\n')
})

test('takes a list for the lines of the script', async () => {
  const parameters = { commands: { type: 'StringList' } }
  const lines = documentOf([{ ...step('one', ''), inputs: { runCommand: '{{ commands }}' } }], parameters)
  const { steps } = await run(lines, { commands: ['echo 1', 'echo 2'] })
  expect(steps[0]?.standardOutput).toBe('1\n2\n')
})

test('fails before the first step when a value is not of the allowed pattern', async () => {
  const parameters = { v: { type: 'String', allowedPattern: '^[a-z]*$' } }
  const { status, trace, steps } = await run(documentOf([step('one', 'true')], parameters), { v: 'a;b' })
  expect({ status, steps }).toEqual({ status: 'Failed', steps: [] })
  expect(trace).toContain(
    "error thrown in 'AllowedRegexParamValidator' while validating parameter value /a;b/",
  )
})

test('gives a value to the environment only where the agent is new enough', async () => {
  const parameters = { v: { type: 'String', interpolationType: 'ENV_VAR' } }
  const document = documentOf([step('one', 'echo {{ v }} $SSM_v')], parameters)
  expect((await run(document, { v: 'x' })).steps[0]?.standardOutput).toBe('x x\n')
  const old = await run(document, { v: 'x' }, { knowsEnvironmentParameters: false })
  expect(old.steps[0]?.standardOutput).toBe('x\n')
})

test('fails on a document that it does not know', async () => {
  expect(await run({ schemaVersion: '9.9', mainSteps: [] })).toMatchObject({ status: 'Failed', steps: [] })
  expect(await statuses([{ action: 'aws:updateAgent', name: 'one' }])).toEqual(['Failed', 'Failed'])
})

test.each([
  ['all of both', 1000, 1000],
  ['half of each', 4000, 4000],
  ['a short output and what fits of the error', 500, 4000],
  ['a short error and what fits of the output', 4000, 500],
])('shortens output and error together to 2,500 characters: %s', (_, output, error) => {
  const text = truncateOutput('o'.repeat(output), 'e'.repeat(error))
  expect(text.length).toBeLessThanOrEqual(2500)
  expect(text.replace(/([oe])\1{99,}/g, '$1')).toBe(
    [
      'o',
      output > 1000 ? '---Output truncated---' : undefined,
      '----------ERROR-------',
      'e',
      error > 1000 ? '---Error truncated----' : undefined,
    ]
      .filter(Boolean)
      .join('\n'),
  )
})

function step(name: string, line: string, inputs: object = {}) {
  return { action: 'aws:runShellScript', name, inputs: { runCommand: [line], ...inputs } }
}

async function statuses(steps: object[]): Promise<string[]> {
  const result = await run(documentOf(steps))
  return [result.status, ...result.steps.map(({ status }) => status)]
}

function runScript(runCommand: string[], inputs: object = {}): Promise<DocumentResult> {
  return run(
    documentOf([{ action: 'aws:runShellScript', name: 'script', inputs: { runCommand, ...inputs } }]),
  )
}

function run(
  content: object,
  parameters: Record<string, unknown> = {},
  { knowsEnvironmentParameters = true } = {},
): Promise<DocumentResult> {
  return runDocument({
    content,
    parameters,
    folder,
    environment: { PATH: process.env.PATH ?? '', LANG: 'C.UTF-8' },
    knowsEnvironmentParameters,
    cancelled: new AbortController().signal,
  })
}
