import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { type FailedInvocation, openAsyncInvocations } from '../../local/lambda/async-invocations.ts'

const newDirectory = () => mkdtempSync(join(tmpdir(), 'queue-'))
const filesIn = (directory: string, folder: string) => readdirSync(join(directory, folder))
const AT_ONCE = { retrySeconds: [0, 0] }
const DONE = { payload: Buffer.from('1') }
const FAILED = { payload: Buffer.from('{"errorType":"Error"}'), error: 'Unhandled' as const }

describe('an asynchronous invocation', () => {
  test('is done once when it succeeds', async () => {
    const directory = newDirectory()
    const deliver = vi.fn(async () => DONE)
    openAsyncInvocations(directory, deliver, AT_ONCE).add('arn:f', '{"a":1}')
    await vi.waitFor(() => expect(filesIn(directory, 'undelivered')).toEqual([]))
    expect(deliver.mock.calls).toEqual([['arn:f', '{"a":1}']])
  })

  test('is tried again twice and then kept as failed', async () => {
    const directory = newDirectory()
    const deliver = vi.fn(async () => FAILED)
    openAsyncInvocations(directory, deliver, AT_ONCE).add('arn:f', '{}')
    await vi.waitFor(() => expect(filesIn(directory, 'failed')).toHaveLength(1))
    expect(deliver).toHaveBeenCalledTimes(3)
    expect(filesIn(directory, 'undelivered')).toEqual([])
  })

  test('that failed for good is handed to who wants it, and as often as that says', async () => {
    const directory = newDirectory()
    const failed: FailedInvocation[] = []
    const onFailed = (invocation: FailedInvocation) => failed.push(invocation) > 0
    const options = { ...AT_ONCE, retriesOf: () => 1, onFailed }
    openAsyncInvocations(directory, async () => FAILED, options).add('arn:f', '{}')
    await vi.waitFor(() => expect(filesIn(directory, 'undelivered')).toEqual([]))
    expect(failed).toEqual([{ functionArn: 'arn:f', payload: '{}', invocations: 2, result: FAILED }])
    expect(filesIn(directory, 'failed')).toEqual([])
  })

  test('that was not done is done by who opens the directory next', async () => {
    const directory = newDirectory()
    const first = openAsyncInvocations(directory, () => new Promise(() => {}), AT_ONCE)
    first.add('arn:f', '{"b":2}')
    first.close()
    const deliver = vi.fn(async () => DONE)
    openAsyncInvocations(directory, deliver, AT_ONCE).resume()
    await vi.waitFor(() => expect(deliver.mock.calls).toEqual([['arn:f', '{"b":2}']]))
  })
})
