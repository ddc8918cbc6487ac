import { EventBridgeClient } from '@aws-sdk/client-eventbridge'

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
