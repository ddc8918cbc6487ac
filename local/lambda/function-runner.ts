import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CredentialStore } from '../credentials.ts'
import type { ProcessRecord } from '../process-record.ts'
import type { FunctionVersion } from './function-config.ts'
import type { FunctionRegistry } from './function-registry.ts'
import type { InvocationResult } from './runtime-api.ts'
import { functionError, startWorker } from './worker.ts'
import { createWorkerPool, type WorkerPool } from './worker-pool.ts'

export interface FunctionRunner {
  /** Never rejects: whatever goes wrong is the function's error. */
  run(version: FunctionVersion, functionArn: string, payload: Buffer): Promise<InvocationResult>
  stop(): Promise<void>
}

export interface FunctionRunnerOptions {
  registry: FunctionRegistry
  /** A log file for each function. */
  logDirectory: string
  region: string
  credentials: CredentialStore
  endpointUrl: () => string
  processes: ProcessRecord
}

const PROCESSES_PER_FUNCTION = 4
/** Longer than any local cloud runs: credentials in the environment cannot be renewed. */
const CREDENTIALS_SECONDS = 7 * 24 * 3600

/** Runs functions in processes of their own, with the environment that Lambda would give them. */
export function createFunctionRunner(options: FunctionRunnerOptions): FunctionRunner {
  const { registry, logDirectory, processes } = options
  const pools = new Map<string, WorkerPool>()
  mkdirSync(logDirectory, { recursive: true })

  const poolOf = (version: FunctionVersion): WorkerPool => {
    const key = `${version.config.name}:${version.version}:${version.config.codeHash}`
    const pool = pools.get(key) ?? createWorkerPool(() => startFor(version), PROCESSES_PER_FUNCTION)
    pools.set(key, pool)
    return pool
  }

  const startFor = (version: FunctionVersion) =>
    startWorker({
      directory: registry.codeOf(version),
      environment: environmentOf(version, options),
      timeoutSeconds: version.config.timeoutSeconds,
      logFile: join(logDirectory, `${version.config.name}.log`),
      onStart: (pid) => processes.add(pid),
      onExit: (pid) => processes.remove(pid),
    })

  return {
    async run(version, functionArn, payload) {
      try {
        return await poolOf(version).invoke({ requestId: randomUUID(), functionArn, payload })
      } catch (error) {
        return functionError('Runtime.StartError', `${version.config.name} could not be started: ${error}`)
      }
    },
    async stop() {
      await Promise.all([...pools.values()].map((pool) => pool.stop()))
    },
  }
}

function environmentOf(version: FunctionVersion, options: FunctionRunnerOptions): Record<string, string> {
  const { config } = version
  const { region, credentials, endpointUrl, registry } = options
  const role = credentials.issue(`assumed-role/${config.role}/${config.name}`, CREDENTIALS_SECONDS)
  return {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    LANG: 'en_US.UTF-8',
    TZ: ':UTC',
    ...config.environment,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ENDPOINT_URL: endpointUrl(),
    AWS_ACCESS_KEY_ID: role.accessKeyId,
    AWS_SECRET_ACCESS_KEY: role.secretAccessKey,
    ...(role.sessionToken && { AWS_SESSION_TOKEN: role.sessionToken }),
    AWS_EXECUTION_ENV: `AWS_Lambda_nodejs${process.versions.node.split('.')[0]}.x`,
    AWS_LAMBDA_FUNCTION_NAME: config.name,
    AWS_LAMBDA_FUNCTION_VERSION: version.version,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(config.memoryMb),
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${config.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: `local/[${version.version}]${randomUUID().replaceAll('-', '')}`,
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    LAMBDA_TASK_ROOT: registry.codeOf(version),
    LAMBDA_RUNTIME_DIR: '/var/runtime',
    _HANDLER: config.handler,
  }
}
