import { LambdaClient } from '@aws-sdk/client-lambda'
import { s3Client } from '../lib/aws/clients.ts'
import { fleetLooker } from '../lib/aws/fleet-looker.ts'
import { objectStore } from '../lib/aws/object-store.ts'
import { rolloutEngine } from '../lib/aws/rollout-engine.ts'
import { rolloutEvents } from '../lib/aws/rollout-events.ts'
import type { AppScope } from '../lib/release/keys.ts'
import { eventsClient, noteLost } from './events-client.ts'
import { functionEnvironment } from './function-environment.ts'
import { functionLog, type LambdaContext } from './function-log.ts'
import { lookAgain } from './look-again.ts'
import { requestForDrop } from './request-for-drop.ts'
import { type StorageEvent, uploadsOf } from './storage-event.ts'

const { bucket, rolloutFunction, rolloutAlias, fleetFunction, fleets } = functionEnvironment()
const store = objectStore(s3Client(), bucket)
const lambda = new LambdaClient({})
const engine = rolloutEngine(lambda, rolloutFunction, rolloutAlias)
const looker = fleetLooker(lambda, fleetFunction)
const eventBus = eventsClient()

/** Whatever the event (an upload, the end of an execution, the schedule), it only says: look again. */
export async function handler(event: Partial<StorageEvent>, context: LambdaContext): Promise<void> {
  const uploads = uploadsOf(event)
  const scopes = fleets.filter((fleet) => !event.Records || uploads.some((upload) => isOf(upload, fleet)))
  // One environment that cannot be looked at keeps no other waiting.
  const looks = await Promise.allSettled(
    scopes.map(async ({ environment, app, isSigned }) => {
      const scope = { environment, app }
      const log = functionLog(context, scope)
      const events = rolloutEvents(eventBus, noteLost(log))
      const clients = { store, engine, fleetLooker: looker, events, log }
      try {
        for (const upload of uploads)
          if (isOf(upload, scope)) await requestForDrop(clients, upload, { isSigned })
        await lookAgain(clients, scope, { isSigned })
      } catch (error) {
        log.error('This look failed.', { error })
        throw error
      }
    }),
  )
  const failures = looks.flatMap((look) => (look.status === 'rejected' ? [look.reason] : []))
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} looks failed`)
}

function isOf(upload: AppScope, fleet: AppScope): boolean {
  return upload.environment === fleet.environment && upload.app === fleet.app
}
