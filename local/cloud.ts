import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { openCredentialStore } from './credentials.ts'
import { createEventBus } from './events/event-bus.ts'
import { interestedFunctions, storageEvent } from './events/storage-notifications.ts'
import { startEndpoint } from './http/endpoint.ts'
import { writeFileAtomically } from './lambda/atomic-file.ts'
import { openLambda } from './lambda/lambda.ts'
import { openProcessRecord } from './process-record.ts'
import { createS3Service, type ObjectCreated } from './s3/service.ts'
import { takeOver } from './takeover.ts'
import { readAssembly } from './template/assembly.ts'
import { readStack } from './template/local-stack.ts'

export interface CloudOptions {
  /** The synthesized stack: `cdk.out`. */
  assembly: string
  /** Of all state; what is found there is served again. */
  directory: string
  /** 0 lets the system choose a free one. */
  port: number
  /** Begins with nothing. */
  reset?: boolean
}

/** AWS on this machine, booted from the template. */
export interface Cloud {
  url: string
  /** What points any AWS client at it; also in `<directory>/env`, for a shell. */
  env: Record<string, string>
  outputs: Record<string, string>
  bucket: string
  stop(): Promise<void>
}

const REGION = 'us-east-1'
const ACCOUNT = '123456789012'

export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const { assembly, directory, port, reset = false } = options
  const stack = readStack(readAssembly(assembly), { region: REGION, account: ACCOUNT })
  const release = await takeOver(directory, { reset })
  const credentials = openCredentialStore(directory)
  const processes = openProcessRecord(join(directory, 'processes'))
  let url = ''

  const bus = createEventBus({
    region: REGION,
    account: ACCOUNT,
    rules: stack.rules,
    invoke: (functionArn, payload) => lambda.invokeLater(functionArn, payload),
  })
  const lambda = openLambda({
    directory: join(directory, 'lambda'),
    region: REGION,
    account: ACCOUNT,
    functions: stack.functions,
    aliases: stack.aliases,
    credentials,
    processes,
    endpointUrl: () => url,
    putEvent: bus.put,
  })
  const notify = (created: ObjectCreated) => {
    for (const functionArn of interestedFunctions(stack.notifications, created)) {
      lambda.invokeLater(functionArn, storageEvent(created, REGION))
    }
  }
  const s3 = createS3Service({
    directory: join(directory, 's3'),
    region: REGION,
    account: ACCOUNT,
    onObjectCreated: notify,
  })
  for (const { name, isVersioned } of stack.buckets) await s3.createBucket(name, { versioned: isVersioned })

  const services = { s3, lambda: lambda.service }
  const endpoint = await startEndpoint({ port, credentials, services }).catch((error) => {
    release()
    throw error
  })
  url = endpoint.url
  lambda.resume()
  bus.startSchedules()

  const { accessKeyId, secretAccessKey } = credentials.issue('user/operator')
  const bucket = stack.buckets[0]?.name ?? ''
  const env = {
    AWS_ENDPOINT_URL: url,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    PYBUNDLE_BUCKET: bucket,
  }
  writeEnvironment(join(directory, 'env'), env)
  return {
    url,
    env,
    outputs: stack.outputs,
    bucket,
    async stop() {
      bus.close()
      await lambda.close()
      await endpoint.close()
      release()
    },
  }
}

/** For a shell to read: `. .local/env`. */
function writeEnvironment(file: string, env: Record<string, string>): void {
  const exports = Object.entries(env).map(([name, value]) => `export ${name}='${value}'\n`)
  // A token or profile of before would be signed with or preferred.
  writeFileAtomically(file, `${exports.join('')}unset AWS_SESSION_TOKEN AWS_PROFILE\n`)
  chmodSync(file, 0o600)
}
