import { setTimeout as sleep } from 'node:timers/promises'
import { SQSClient } from '@aws-sdk/client-sqs'
import { s3Client } from '../lib/aws/clients.ts'
import { countFailedStarts } from '../lib/aws/failed-starts.ts'
import { listFleet, listGone } from '../lib/aws/fleet-directory.ts'
import { objectStore } from '../lib/aws/object-store.ts'
import { runCommand } from '../lib/aws/run-command.ts'
import type { AppScope } from '../lib/release/keys.ts'
import { documentName } from '../lib/release/names.ts'
import { askFleet } from './ask-fleet.ts'
import { writeFleetReport } from './fleet-report-store.ts'
import { functionEnvironment } from './function-environment.ts'
import { functionLog, type LambdaContext } from './function-log.ts'
import { askingClient, sendingClient } from './ssm-clients.ts'
import { readState } from './state-store.ts'

const { bucket, fleets, failedStartsQueue } = functionEnvironment()
const store = objectStore(s3Client(), bucket)
const ssm = askingClient()
// The queue's URL names AWS's own host, also where the endpoint is another.
const sqs = new SQSClient({ useQueueUrlAsEndpoint: false })

/** On the schedule for all environments that no rollout is at work in; for the one that somebody names, always. */
export async function handler(event: Partial<AppScope>, context: LambdaContext): Promise<void> {
  const asked =
    event.environment && event.app ? { environment: event.environment, app: event.app } : undefined
  const failedStarts = await countFailedStarts(sqs, failedStartsQueue).catch((error) => {
    functionLog(context, {}).warn('Failed starts could not be counted.', { error })
    return undefined
  })
  const looks = await Promise.allSettled(
    fleets
      .filter(({ environment, app }) => !asked || (asked.environment === environment && asked.app === app))
      .map(async ({ environment, app, tags }) => {
        const scope = { environment, app }
        const log = functionLog(context, scope)
        try {
          // A rollout's own record is fresher, and its commands go first.
          if (!asked && (await isAtWork(scope))) return log.info('Not asked: a rollout is at work.')
          const look = await askFleet({
            commands: runCommand(ssm, sendingClient()),
            document: documentName(environment, app),
            listFleet: () => listFleet(ssm, tags),
            listGone: (targets) => listGone(ssm, targets),
            pause: (seconds) => sleep(seconds * 1000),
          })
          await writeFleetReport(store, scope, { ...look, failedStarts })
          const { members, serves, stopped } = look
          const answered = Object.keys(serves).length
          log.info('The fleet was asked.', { targets: members.length, answered, stopped: stopped.length })
        } catch (error) {
          log.error('The fleet could not be asked.', { error })
          throw error
        }
      }),
  )
  const failures = looks.flatMap((look) => (look.status === 'rejected' ? [look.reason] : []))
  if (failures.length > 0) throw new AggregateError(failures, `${failures.length} fleets could not be asked`)
}

async function isAtWork(scope: AppScope): Promise<boolean> {
  return (await readState(store, scope)).state.lock !== null
}
