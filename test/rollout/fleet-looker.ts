import { askFleet } from '../../lambda/ask-fleet.ts'
import { writeFleetReport } from '../../lambda/fleet-report-store.ts'
import { listFleet, listGone } from '../../lib/aws/fleet-directory.ts'
import type { FleetLooker } from '../../lib/aws/fleet-looker.ts'
import { runCommand } from '../../lib/aws/run-command.ts'
import { documentName } from '../../lib/release/names.ts'
import type { MachineCloud } from './machine-cloud.ts'
import { SCOPE, TAGS } from './machine-settings.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** What the function does that asks a fleet; between its looks at the answers, virtual time passes. */
export function openFleetLooker(
  { store, ssm }: Pick<MachineCloud, 'store' | 'ssm'>,
  clock: VirtualClock,
): FleetLooker & { close(): void } {
  const life = new AbortController()
  const look = async () => {
    const commands = runCommand(ssm.asking, ssm.sending)
    const found = await askFleet({
      commands: {
        pinDocument: (name) => clock.during(commands.pinDocument(name)),
        send: (options) => clock.during(commands.send(options)),
        endedCounts: (ids, phase) => clock.during(commands.endedCounts(ids, phase)),
        invocations: (ids) => clock.during(commands.invocations(ids)),
      },
      document: documentName(SCOPE.environment, SCOPE.app),
      listFleet: () => clock.during(listFleet(ssm.asking, TAGS)),
      listGone: (targets) => clock.during(listGone(ssm.asking, targets)),
      pause: (seconds) => clock.sleepUntil(new Date(Date.now() + seconds * 1000), life.signal),
    })
    await clock.during(writeFleetReport(store, SCOPE, found))
  }
  return {
    // As a function that is invoked for later: who asked hears nothing of how it goes.
    start: async () => void look().catch(() => {}),
    close: () => life.abort(),
  }
}
