import type { DurableContext } from '@aws/durable-execution-sdk-js'
import { Logger } from '@aws-lambda-powertools/logger'
import type { LogAttributes } from '@aws-lambda-powertools/logger/types'

/** What code needs that tells something: a sentence, and what belongs to it. */
export type Log = Pick<Logger, 'info' | 'warn' | 'error'>

export type LambdaContext = Pick<Parameters<Logger['addContext']>[0], 'functionName' | 'awsRequestId'>

/** Lines of JSON, each with these keys and those of its invocation; how much is told, POWERTOOLS_LOG_LEVEL says. */
export function functionLog(context: LambdaContext, keys: LogAttributes): Logger {
  const log = new Logger({ serviceName: 'pybundle' })
  // Powertools' own addContext would call each invocation a cold start: a Logger knows of its own first one only.
  const invocation = { function_name: context.functionName, function_request_id: context.awsRequestId }
  log.appendPersistentKeys({ ...invocation, ...keys })
  return log
}

/** From here on `context.logger` tells each line with these keys, and once, however often what tells it is replayed. */
export function logDurably(context: DurableContext, keys: LogAttributes): Logger {
  const log = functionLog(context.lambdaContext, keys)
  context.configureLogger({ customLogger: log })
  return log
}
