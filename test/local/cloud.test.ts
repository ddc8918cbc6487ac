import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { GetObjectCommand, NoSuchKey, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import {
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { App, CfnOutput, Stack } from 'aws-cdk-lib'
import { Rule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { Alias, Code, Function as Lambda, Runtime } from 'aws-cdk-lib/aws-lambda'
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations'
import { Bucket, EventType } from 'aws-cdk-lib/aws-s3'
import { LambdaDestination } from 'aws-cdk-lib/aws-s3-notifications'
import { Queue } from 'aws-cdk-lib/aws-sqs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cloud, startCloud } from '../../local/cloud.ts'
import { openProcessRecord } from '../../local/process-record.ts'
import { takeOver } from '../../local/takeover.ts'

const folder = mkdtempSync(join(tmpdir(), 'cloud-'))
const assembly = join(folder, 'cdk.out')
let cloud: Cloud
let s3: S3Client
let directories = 0

beforeAll(async () => {
  await synthesize()
  cloud = await start(newDirectory())
  s3 = clientOf(cloud)
})
afterAll(async () => {
  await cloud.stop()
  rmSync(folder, { recursive: true, force: true })
})

const newDirectory = () => join(folder, `state-${++directories}`)
const start = (directory: string) => startCloud({ assembly, directory, port: 0 })
const clientOf = (of: Cloud) => new S3Client(accessTo(of))
const accessTo = ({ env }: Cloud) => {
  const credentials = {
    accessKeyId: env.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? '',
  }
  return { endpoint: env.AWS_ENDPOINT_URL ?? '', region: env.AWS_REGION ?? '', credentials }
}

/** A stack as CDK makes it: a function that writes each event it gets into the bucket. */
async function synthesize(): Promise<void> {
  const code = join(folder, 'code')
  mkdirSync(code)
  const { build } = await import('esbuild')
  await build({
    stdin: { contents: WRITER, resolveDir: process.cwd() },
    outfile: join(code, 'index.js'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    minify: true,
  })
  const app = new App({ outdir: assembly, analyticsReporting: false })
  const stack = new Stack(app, 'Test')
  const bucket = new Bucket(stack, 'Bucket', { versioned: true })
  const writer = new Lambda(stack, 'Writer', {
    code: Code.fromAsset(code),
    handler: 'index.handler',
    runtime: Runtime.NODEJS_24_X,
    environment: { BUCKET: bucket.bucketName },
    retryAttempts: 0,
    onFailure: new SqsDestination(new Queue(stack, 'Failed', { queueName: 'failed' })),
  })
  bucket.grantReadWrite(writer)
  new Alias(stack, 'Live', { aliasName: 'live', version: writer.currentVersion })
  bucket.addEventNotification(EventType.OBJECT_CREATED, new LambdaDestination(writer), { suffix: '.request' })
  new Rule(stack, 'Ended', {
    eventPattern: { source: ['aws.lambda'] },
    targets: [new LambdaFunction(writer)],
  })
  new CfnOutput(stack, 'BucketName', { value: bucket.bucketName })
  app.synth()
}

const WRITER = `
  import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
  const s3 = new S3Client({})
  export const handler = async (event) => {
    const record = event.Records[0].s3
    const Key = 'seen/' + record.object.key.split('/').at(-1)
    await s3.send(new PutObjectCommand({ Bucket: process.env.BUCKET, Key, Body: JSON.stringify(record) }))
  }
`

async function seen(name: string, client = s3, Bucket = cloud.bucket) {
  for (;;) {
    try {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: `seen/${name}` }))
      return JSON.parse((await Body?.transformToString()) ?? '')
    } catch (error) {
      if (!(error instanceof NoSuchKey)) throw error
      await setTimeout(20)
    }
  }
}

describe('the local cloud', () => {
  test('has what the template has', () => {
    expect(cloud.outputs).toEqual({ BucketName: cloud.bucket })
    expect(cloud.bucket).toMatch(/^test-bucket/)
  })

  test('tells the function of an uploaded object, which writes to the bucket with its role', async () => {
    const Key = 'staging/app/requests/a.request'
    const { VersionId } = await s3.send(new PutObjectCommand({ Bucket: cloud.bucket, Key, Body: 'x' }))
    const record = await seen('a.request')
    expect(record.bucket.name).toBe(cloud.bucket)
    expect(record.object).toMatchObject({ key: Key, size: 1, versionId: VersionId })
  })

  test('sends a start that fails for good to the queue that the template names', async () => {
    const lambda = new LambdaClient(accessTo(cloud))
    const FunctionName = execFileSync('ls', [join(folder, 'state-1/lambda/logs')], { encoding: 'utf8' })
      .trim()
      .replace(/\.log$/, '')
    const Payload = '{"of":"nobody"}'
    await lambda.send(new InvokeCommand({ FunctionName, InvocationType: 'Event', Payload }))
    const { region, credentials } = accessTo(cloud)
    // The client goes where a queue's URL says.
    const sqs = new SQSClient({ region, credentials, endpoint: cloud.url })
    const { QueueUrl = '' } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'failed' }))
    let received = await sqs.send(new ReceiveMessageCommand({ QueueUrl }))
    while (!received.Messages?.length) received = await sqs.send(new ReceiveMessageCommand({ QueueUrl }))
    expect(JSON.parse(received.Messages[0]?.Body ?? '')).toMatchObject({
      version: '1.0',
      requestContext: { condition: 'RetriesExhausted', approximateInvokeCount: 1 },
      requestPayload: { of: 'nobody' },
      responseContext: { functionError: 'Unhandled' },
      responsePayload: { errorType: 'TypeError' },
    })
    const AttributeNames = ['All' as const]
    const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames }))
    expect(Attributes).toMatchObject({
      ApproximateNumberOfMessages: '0',
      ApproximateNumberOfMessagesNotVisible: '1',
    })
  })

  test('writes exports that point any AWS client at it', () => {
    const directory = join(folder, 'state-1')
    const shell = '. "$0"; echo "$AWS_ENDPOINT_URL $AWS_REGION $PYBUNDLE_BUCKET"'
    const said = execFileSync('sh', ['-c', shell, join(directory, 'env')], { encoding: 'utf8' })
    expect(said.trim()).toBe(`${cloud.url} us-east-1 ${cloud.bucket}`)
  })

  test('says that a port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    await expect(startCloud({ assembly, directory: newDirectory(), port })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}`,
    )
    server.close()
  })
})

describe('a local cloud that starts again', () => {
  test('has the same credentials and objects, and delivers what was not delivered', async () => {
    const directory = newDirectory()
    const first = await start(directory)
    const upload = new PutObjectCommand({ Bucket: first.bucket, Key: 'a/b/requests/late.request', Body: 'x' })
    await clientOf(first).send(upload)
    await first.stop()
    const second = await start(directory)
    expect(second.env.AWS_ACCESS_KEY_ID).toBe(first.env.AWS_ACCESS_KEY_ID)
    expect((await seen('late.request', clientOf(second))).object.size).toBe(1)
    await second.stop()
  })
})

describe('a directory that is taken over', () => {
  test('has nothing left running of what was recorded', async () => {
    const directory = newDirectory()
    const left = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' })
    const exited = once(left, 'exit')
    openProcessRecord(join(directory, 'processes')).add(left.pid ?? 0)
    const again = await start(directory)
    expect(await exited).toEqual([null, 'SIGKILL'])
    await again.stop()
  })

  test('ends the local cloud that still runs on it, also where both want the same port', async () => {
    const directory = newDirectory()
    const other = await cloudElsewhere(directory)
    const told: string[] = []
    const giveBack = await takeOver(directory, { port: other.port, say: (line) => told.push(line) })
    giveBack()
    expect(await other.exited).toEqual([null, 'SIGTERM'])
    expect(told).toEqual([`Another local cloud (process ${other.pid}) ran on ${directory}: it was ended.`])
  })

  test('is left as it is, with the cloud that runs on it, when another program has the port', async () => {
    const directory = newDirectory()
    const other = await cloudElsewhere(directory)
    const busy = createServer().listen(0, '127.0.0.1')
    await once(busy, 'listening')
    const { port } = busy.address() as AddressInfo
    await expect(startCloud({ assembly, directory, port, reset: true })).rejects.toThrow(
      `The local cloud cannot listen on 127.0.0.1:${port}: another program uses this port. Stop it, or choose another port with --port.`,
    )
    busy.close()
    expect(existsSync(join(directory, 'cloud.json'))).toBe(true)
    expect(other.process.exitCode ?? other.process.signalCode).toBeNull()
    other.process.kill()
  })

  test('is emptied when it is reset', async () => {
    const directory = newDirectory()
    const first = await start(directory)
    await first.stop()
    const second = await startCloud({ assembly, directory, port: 0, reset: true })
    expect(second.env.AWS_ACCESS_KEY_ID).not.toBe(first.env.AWS_ACCESS_KEY_ID)
    await second.stop()
  })
})

/** Another process that has taken the directory and listens. */
async function cloudElsewhere(directory: string) {
  const local = new URL('../../local/', import.meta.url)
  const script = `import { createServer } from 'node:net'
    import { listen } from '${local}http/listen.ts'
    import { takeOver } from '${local}takeover.ts'
    const server = createServer()
    const port = await listen(server, 0)
    server.close()
    await takeOver('${directory}', { port })
    await listen(server, port)
    console.log(port)`
  const other = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(other, 'exit')
  const [line] = await once(other.stdout, 'data')
  return { process: other, pid: other.pid, port: Number(String(line)), exited }
}
