import { mkdtempSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { openAsyncInvocations } from '../../local/lambda/async-invocations.ts'

const newDirectory = () => mkdtempSync(join(tmpdir(), 'queue-'))
const filesIn = (directory: string, folder: string) => readdirSync(join(directory, folder))
const AT_ONCE = [0, 0]

describe('an asynchronous invocation', () => {
  test('is done once when it succeeds', async () => {
    const directory = newDirectory()
    const deliver = vi.fn(async () => true)
    openAsyncInvocations(directory, deliver, AT_ONCE).add('arn:f', '{"a":1}')
    await vi.waitFor(() => expect(filesIn(directory, 'undelivered')).toEqual([]))
    expect(deliver.mock.calls).toEqual([['arn:f', '{"a":1}']])
  })

  test('is tried again twice and then kept as failed', async () => {
    const directory = newDirectory()
    const deliver = vi.fn(async () => false)
    openAsyncInvocations(directory, deliver, AT_ONCE).add('arn:f', '{}')
    await vi.waitFor(() => expect(filesIn(directory, 'failed')).toHaveLength(1))
    expect(deliver).toHaveBeenCalledTimes(3)
    expect(filesIn(directory, 'undelivered')).toEqual([])
  })

  test('that was not done is done by who opens the directory next', async () => {
    const directory = newDirectory()
    const first = openAsyncInvocations(directory, () => new Promise(() => {}), AT_ONCE)
    first.add('arn:f', '{"b":2}')
    first.close()
    const deliver = vi.fn(async () => true)
    openAsyncInvocations(directory, deliver, AT_ONCE).resume()
    await vi.waitFor(() => expect(deliver.mock.calls).toEqual([['arn:f', '{"b":2}']]))
  })
})
