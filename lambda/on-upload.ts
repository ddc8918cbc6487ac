import { LambdaClient } from '@aws-sdk/client-lambda'
import { s3Client } from '../lib/aws/clients.ts'
import { fleetLooker } from '../lib/aws/fleet-looker.ts'
import { objectStore } from '../lib/aws/object-store.ts'
import { rolloutEngine } from '../lib/aws/rollout-engine.ts'
import { rolloutEvents } from '../lib/aws/rollout-events.ts'
import type { AppScope } from '../lib/release/keys.ts'
import { eventsClient } from './events-client.ts'
import { functionEnvironment } from './function-environment.ts'
import { functionLog } from './function-log.ts'
import { lookAgain } from './look-again.ts'
import { requestForDrop } from './request-for-drop.ts'
import { type StorageEvent, uploadsOf } from './storage-event.ts'

const { bucket, rolloutFunction, rolloutAlias, fleetFunction, fleets } = functionEnvironment()
const store = objectStore(s3Client(), bucket)
const lambda = new LambdaClient({})
const engine = rolloutEngine(lambda, rolloutFunction, rolloutAlias)
const looker = fleetLooker(lambda, fleetFunction)
const log = functionLog()
const events = rolloutEvents(eventsClient(), (event, error) =>
  log.warn('An event was lost.', { ...event, error }),
)

/** Whatever the event (an upload, the end of an execution, the schedule), it only says: look again. */
export async function handler(event: Partial<StorageEvent>): Promise<void> {
  const uploads = uploadsOf(event)
  const scopes = fleets.filter((fleet) => !event.Records || uploads.some((upload) => isOf(upload, fleet)))
  // One environment that cannot be looked at keeps no other waiting.
  const looks = await Promise.allSettled(
    scopes.map(async ({ environment, app, isSigned }) => {
      for (const upload of uploads) {
        if (isOf(upload, { environment, app })) await requestForDrop({ store, events }, upload, { isSigned })
      }
      await lookAgain({ store, engine, fleetLooker: looker, events }, { environment, app }, { isSigned })
    }),
  )
  const failures = looks.flatMap((look) => (look.status === 'rejected' ? [look.reason] : []))
  for (const failure of failures) console.error(failure)
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} looks failed`)
}

function isOf(upload: AppScope, fleet: AppScope): boolean {
  return upload.environment === fleet.environment && upload.app === fleet.app
}
