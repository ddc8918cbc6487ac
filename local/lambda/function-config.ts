/** A function as the template configures it. */
export interface FunctionConfig {
  name: string
  /** `<file>.<export>` in its code. */
  handler: string
  /** Where its code lies in the assembly, and the hash by which it is kept. */
  directory: string
  codeHash: string
  environment: Record<string, string>
  timeoutSeconds: number
  memoryMb: number
  /** The name of the role whose credentials it gets. */
  role: string
  durable?: DurableSettings
}

export interface DurableSettings {
  executionTimeoutSeconds: number
  retentionDays: number
}

export interface AliasConfig {
  functionName: string
  name: string
}

/** What becomes of asynchronous invocations that fail. */
export interface AsyncConfig {
  retries: number
  /** Where one ends that has failed for good. */
  failureQueueArn?: string | undefined
}

/** A function at one version: what an invocation runs, and an execution is pinned to. */
export interface FunctionVersion {
  version: string
  config: FunctionConfig
}

export const LATEST = '$LATEST'
