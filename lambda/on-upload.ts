import { LambdaClient } from '@aws-sdk/client-lambda'
import { s3Client } from '../lib/aws/clients.ts'
import { objectStore } from '../lib/aws/object-store.ts'
import { rolloutEngine } from '../lib/aws/rollout-engine.ts'
import { functionEnvironment } from './function-environment.ts'
import { lookAgain } from './look-again.ts'
import { requestForDrop } from './request-for-drop.ts'
import { type StorageEvent, uploadsOf } from './storage-event.ts'

const { bucket, rolloutFunction, rolloutAlias, fleets } = functionEnvironment()
const store = objectStore(s3Client(), bucket)
const engine = rolloutEngine(new LambdaClient({}), rolloutFunction, rolloutAlias)

/** Whatever the event (an upload, the end of an execution, the schedule), it only says: look again. */
export async function handler(event: Partial<StorageEvent>): Promise<void> {
  const uploads = uploadsOf(event)
  for (const upload of uploads) {
    if (upload.kind !== 'request') await requestForDrop(store, upload)
  }
  const isMeant = (environment: string, app: string) =>
    !event.Records || uploads.some((upload) => upload.environment === environment && upload.app === app)
  for (const { environment, app } of fleets) {
    if (isMeant(environment, app)) await lookAgain({ store, engine }, { environment, app })
  }
}
