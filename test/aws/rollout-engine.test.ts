import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LambdaClient } from '@aws-sdk/client-lambda'
import { expect, it, onTestFinished } from 'vitest'
import { rolloutEngine } from '../../lib/aws/rollout-engine.ts'

async function engineThatAnswers(errorName: string) {
  const server = createServer((_, response) => {
    const headers = { 'x-amzn-errortype': errorName, 'content-type': 'application/json' }
    response.writeHead(409, headers).end(JSON.stringify({ Type: 'User', Message: 'as Lambda says it' }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
  const client = new LambdaClient({ endpoint, region: 'us-east-1', credentials, maxAttempts: 1 })
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  return rolloutEngine(client, 'rollout', 'live')
}

it('an execution that somebody else has begun already counts as started', async () => {
  const engine = await engineThatAnswers('DurableExecutionAlreadyStartedException')
  await expect(engine.start({ execution: '1-rollout', version: '7' }, {})).resolves.toBeUndefined()
})

it('any other answer is an error', async () => {
  const engine = await engineThatAnswers('ResourceConflictException')
  await expect(engine.start({ execution: '1-rollout', version: '7' }, {})).rejects.toThrow(
    'as Lambda says it',
  )
})
