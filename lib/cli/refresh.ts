import { setTimeout as sleep } from 'node:timers/promises'
import { fleetReport } from '../release/fleet-report.ts'
import { fleetKey, rolloutKey } from '../release/keys.ts'
import { rolloutRecord } from '../release/record.ts'
import { UserError } from '../user-error.ts'
import type { OpenedApp } from './open-app.ts'
import { writeRequest } from './request.ts'
import { step } from './steps.ts'

const POLL_MS = 700
/** The function waits a minute for slow targets, and may have to start first. */
const LONGEST_WAIT_MS = 120_000
/** Two functions on two machines say when: one that the look was asked for, one that it began. */
const CLOCK_SKEW_MS = 1_000

/** Asks the whole fleet now what it serves, and waits until `fleet.json` says so. */
export async function refreshFleet(app: OpenedApp): Promise<void> {
  const { id } = await writeRequest(app, { what: 'what its fleet serves', wish: { action: 'refresh' } })
  const { store, scope } = app
  await step('Waiting for the targets', async ({ result }) => {
    const deadline = Date.now() + LONGEST_WAIT_MS
    while (Date.now() < deadline) {
      const record = await store.readJson(rolloutKey(scope, id))
      const fleet = await store.readJson(fleetKey(scope))
      const asked = record === undefined ? undefined : rolloutRecord.parse(record)
      if (asked?.outcome === 'refused') throw new UserError(`The fleet was not asked: ${asked.reason}`)
      const asOf = fleet === undefined ? '' : fleetReport.parse(fleet).asOf
      if (asked && Date.parse(asOf) > Date.parse(asked.startedAt) - CLOCK_SKEW_MS)
        return result('The targets have answered')
      await sleep(POLL_MS)
    }
    throw new UserError(
      `The targets have not been heard within ${LONGEST_WAIT_MS / 1000} s. What was known before: pybundle status --environment ${scope.environment}; the log of the function LookAtFleet may tell why.`,
    )
  })
}
