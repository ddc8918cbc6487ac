import type { ObjectStore } from '../lib/aws/object-store.ts'
import { type FleetLook, fleetReport, reportFleet } from '../lib/release/fleet-report.ts'
import { type AppScope, fleetKey } from '../lib/release/keys.ts'

/** Never back in time: of two looks at once the later one stays, whichever is written last. */
export async function writeFleetReport(store: ObjectStore, scope: AppScope, look: FleetLook): Promise<void> {
  for (;;) {
    const stored = await store.readText(fleetKey(scope))
    const known = stored && fleetReport.parse(JSON.parse(stored.body))
    if (known && known.asOf >= look.asOf) return
    const report = JSON.stringify(reportFleet(known, look), null, 1)
    if (await store.replace(fleetKey(scope), report, stored?.eTag)) return
  }
}
