import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { InvokeCommand } from '@aws-sdk/client-lambda'
import { startLocalLambda } from './lambda-fixture.ts'

const { config, directory } = JSON.parse(process.env.VICTIM ?? '{}')
const marker = join(directory, 'in-the-middle')
const { client } = await startLocalLambda([config], directory)
const started = await client.send(
  new InvokeCommand({
    FunctionName: 'flow:live',
    InvocationType: 'Event',
    Payload: JSON.stringify({ name: 'survivor', marker }),
  }),
)
while (!existsSync(marker)) await setTimeout(10)
console.log(started.DurableExecutionArn)
