import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Invocation, type InvocationResult, startRuntimeApi } from './runtime-api.ts'

export interface WorkerOptions {
  directory: string
  environment: Record<string, string>
  timeoutSeconds: number
  logFile: string
  onStart?: (pid: number) => void
  onExit?: (pid: number) => void
}

/** One process of a function; runs one invocation at a time and is used again while it lives. */
export interface Worker {
  isAlive(): boolean
  invoke(invocation: Invocation): Promise<InvocationResult>
  stop(): Promise<void>
}

const BOOTSTRAP = fileURLToPath(new URL(`./bootstrap${extname(import.meta.url)}`, import.meta.url))
/** AWS gives 10 s; a laptop may be busy. */
const INIT_SECONDS = 60

export async function startWorker(options: WorkerOptions): Promise<Worker> {
  const api = await startRuntimeApi()
  const log = openSync(options.logFile, 'a')
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', BOOTSTRAP], {
    cwd: options.directory,
    env: { ...options.environment, AWS_LAMBDA_RUNTIME_API: api.address },
    stdio: ['pipe', log, log],
    // A group of its own: Ctrl-C is for the local cloud, which then stops its functions in order.
    detached: true,
  })
  closeSync(log)
  const pid = child.pid ?? 0
  if (pid) options.onStart?.(pid)
  let alive = true
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`Couldn't start: ${error.message}`))
    child.once('exit', (code, signal) => resolve(code === null ? `signal: ${signal}` : `exit status ${code}`))
  }).finally(() => {
    alive = false
    api.close()
    options.onExit?.(pid)
  })
  const kill = () => killGroup(pid)

  return {
    isAlive: () => alive,
    async invoke(invocation) {
      const died = exited.then((how) => exitError(invocation.requestId, how))
      const timeout = startTimeout(invocation.requestId, options.timeoutSeconds)
      const answered = api.invoke(invocation, timeout.deliver)
      const result = await Promise.race([answered, died, timeout.passed])
      timeout.clear()
      if (timeout.isPassed() || !alive) {
        kill()
        await exited
      }
      return result
    },
    async stop() {
      if (alive) kill()
      await exited
    },
  }
}

function startTimeout(requestId: string, seconds: number) {
  let pass: (result: InvocationResult) => void
  let hasPassed = false
  const passed = new Promise<InvocationResult>((resolve) => {
    pass = resolve
  })
  const expire = (after: number) =>
    setTimeout(() => {
      hasPassed = true
      pass(functionError('Sandbox.Timedout', timeoutMessage(requestId, after)))
    }, after * 1000)
  let timer = expire(INIT_SECONDS)
  return {
    passed,
    isPassed: () => hasPassed,
    /** The time of the invocation begins when the process takes it; gives its end. */
    deliver: () => {
      clearTimeout(timer)
      timer = expire(seconds)
      return Date.now() + seconds * 1000
    },
    clear: () => clearTimeout(timer),
  }
}

function timeoutMessage(requestId: string, seconds: number): string {
  return `${new Date().toISOString()} ${requestId} Task timed out after ${seconds.toFixed(2)} seconds`
}

function exitError(requestId: string, how: string): InvocationResult {
  const message = `RequestId: ${requestId} Error: Runtime exited with error: ${how}`
  return functionError('Runtime.ExitError', message)
}

export function functionError(errorType: string, errorMessage: string): InvocationResult {
  return { payload: Buffer.from(JSON.stringify({ errorType, errorMessage })), error: 'Unhandled' }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}
