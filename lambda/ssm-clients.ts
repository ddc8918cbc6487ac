import { SSMClient } from '@aws-sdk/client-ssm'
import { AdaptiveRetryStrategy } from '@smithy/core/retry'

/** AWS tells no rates for Run Command: who is throttled slows down. */
const TRIES = 10

export function askingClient(): SSMClient {
  return new SSMClient({ maxAttempts: TRIES, retryMode: 'adaptive' })
}

/** SendCommand has no client token: an answer that was lost would become a second command. */
export function sendingClient(): SSMClient {
  return new SSMClient({ retryStrategy: new OnlyWhenThrottled(async () => TRIES) })
}

/** What was throttled has surely not arrived. Whatever else failed may have, and is left to who can look for it. */
class OnlyWhenThrottled extends AdaptiveRetryStrategy {
  override async refreshRetryTokenForRetry(
    ...[token, failure]: Parameters<AdaptiveRetryStrategy['refreshRetryTokenForRetry']>
  ) {
    if (failure.errorType !== 'THROTTLING') throw failure.error
    return super.refreshRetryTokenForRetry(token, failure)
  }
}
