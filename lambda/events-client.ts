import { EventBridgeClient } from '@aws-sdk/client-eventbridge'
import type { RolloutEvent } from '../lib/release/rollout-event.ts'
import type { Log } from './function-log.ts'

const CONNECT_MILLISECONDS = 1000
const ANSWER_MILLISECONDS = 3000

/** Who waits for it has something better to do. */
export function eventsClient(): EventBridgeClient {
  return new EventBridgeClient({
    maxAttempts: 3,
    requestHandler: {
      connectionTimeout: CONNECT_MILLISECONDS,
      requestTimeout: ANSWER_MILLISECONDS,
      throwOnRequestTimeout: true,
    },
  })
}

export const noteLost = (log: Pick<Log, 'warn'>) => (event: RolloutEvent, error: unknown) =>
  log.warn('An event was lost.', { event, error })
