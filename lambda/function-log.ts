import { Logger } from '@aws-lambda-powertools/logger'
import type { LogAttributes } from '@aws-lambda-powertools/logger/types'

/** Lines of JSON, each with these keys; how much is told, POWERTOOLS_LOG_LEVEL says. */
export function functionLog(keys: LogAttributes = {}): Logger {
  const log = new Logger({ serviceName: 'pybundle' })
  log.appendPersistentKeys(keys)
  return log
}

/** What code needs that tells something: a message, and what belongs to it. */
export type Log = Pick<Logger, 'info' | 'warn' | 'error'>
