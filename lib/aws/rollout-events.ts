import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge'
import { EVENT_DETAIL_TYPE, EVENT_SOURCE, type RolloutEvent } from '../release/rollout-event.ts'

/** Tells whoever listens where a rollout has come to. */
export interface RolloutEvents {
  /** Never rejects: what is lost disturbs no rollout. */
  tell(event: RolloutEvent): Promise<void>
}

export function rolloutEvents(
  client: EventBridgeClient,
  onLost: (event: RolloutEvent, error: unknown) => void,
): RolloutEvents {
  return {
    async tell(event) {
      try {
        const Entries = [
          {
            Source: EVENT_SOURCE,
            DetailType: EVENT_DETAIL_TYPE,
            Time: new Date(),
            Detail: JSON.stringify(event),
          },
        ]
        const { Entries: results } = await client.send(new PutEventsCommand({ Entries }))
        const { ErrorCode, ErrorMessage } = results?.[0] ?? {}
        // Refused entries are told in an answer that is none of an error.
        if (ErrorCode) throw new Error(`${ErrorCode}: ${ErrorMessage}`)
      } catch (error) {
        onLost(event, error)
      }
    },
  }
}
