/**
 * The program of a function's process: loads the handler and serves the Lambda Runtime API, as AWS's own
 * runtime client does (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). AWS's package
 * builds native code when it is installed, which asks for a C++ toolchain.
 */
import { existsSync } from 'node:fs'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

type Handler = (event: unknown, context: unknown) => unknown

const environment = process.env as Record<string, string>
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

// The local cloud holds the other end: when it is killed, its functions end too.
process.stdin.resume().once('end', () => process.exit(0))

const handler = await loadHandler().catch(async (error) => {
  console.error(error)
  await call('POST', 'init/error', describe(error))
  process.exit(1)
})
for (;;) await serveNext(handler)

async function serveNext(handle: Handler): Promise<void> {
  const { headers, body } = await call('GET', 'invocation/next')
  const id = String(headers['lambda-runtime-aws-request-id'])
  try {
    const result = await handle(JSON.parse(body || 'null'), contextOf(id, headers))
    await call('POST', `invocation/${id}/response`, result)
  } catch (error) {
    console.error(error)
    await call('POST', `invocation/${id}/error`, describe(error))
  }
}

function contextOf(awsRequestId: string, headers: IncomingHttpHeaders) {
  const deadline = Number(headers['lambda-runtime-deadline-ms'])
  return {
    awsRequestId,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: true,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  }
}

async function loadHandler(): Promise<Handler> {
  const [, file = '', name = ''] = /^(.*)\.([^.]+)$/.exec(environment._HANDLER ?? '') ?? []
  const path = ['.js', '.mjs', '.cjs']
    .map((suffix) => join(environment.LAMBDA_TASK_ROOT ?? '', file + suffix))
    .find((candidate) => existsSync(candidate))
  if (!path) throw namedError('Runtime.ImportModuleError', `Error: Cannot find module '${file}'`)
  const module = await importModule(path)
  const handle = module[name] ?? (module.default as Record<string, unknown> | undefined)?.[name]
  if (typeof handle === 'function') return handle as Handler
  throw namedError('Runtime.HandlerNotFound', `${environment._HANDLER} is undefined or not exported`)
}

async function importModule(path: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(path).href)
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && /MODULE_NOT_FOUND/.test(String(error.code))
    if (isMissing) throw namedError('Runtime.ImportModuleError', String(error))
    if (error instanceof SyntaxError) throw namedError('Runtime.UserCodeSyntaxError', String(error))
    throw error
  }
}

function namedError(name: string, message: string): Error {
  return Object.assign(new Error(message), { name })
}

function describe(error: unknown) {
  if (!(error instanceof Error)) return { errorType: typeof error, errorMessage: String(error), trace: [] }
  return { errorType: error.name, errorMessage: error.message, trace: error.stack?.split('\n') ?? [] }
}

function call(method: string, path: string, content?: unknown) {
  const url = `http://${environment.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/${path}`
  return new Promise<{ headers: IncomingHttpHeaders; body: string }>((resolve, reject) => {
    const outgoing = request(url, { method, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }))
      response.on('error', reject)
    })
    outgoing.on('error', reject)
    outgoing.end(method === 'POST' ? (JSON.stringify(content) ?? 'null') : undefined)
  })
}
